-- The gate before a call. ARGV: lead id, call id, now, leader's token, calls a day and number, calls a lead.
-- Returns {'reserved', JSON, attempt} or {'refused', reason, JSON when the lead is over by this}.
local id, call, now, token = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local per_day, per_lead = tonumber(ARGV[5]), tonumber(ARGV[6])
local BUSY_SECONDS = 60

if redis.call('GET', P .. 'leader') ~= token then return {'refused', 'not_leader', ''} end
local lead = load(id)
if not lead then return {'refused', 'gone', ''} end
if lead.state == 'calling' and lead.call == call then return {'reserved', lead.json, lead.attempts} end
if lead.state ~= 'queued' then return {'refused', 'gone', ''} end

local function over(why)
  finish(lead, why)
  return {'refused', why, lead.json}
end
local function later(why, from)
  enqueue(id, text(from), text(lead.until_))
  return {'refused', why, ''}
end

if lead.until_ <= now then
  expire(lead)
  return {'refused', 'expired', ''}
end
if lead.from > now then return later('too_early', lead.from) end
local why = forbidden(lead.shopper, lead.phone, lead.last)
if why then return over(why) end
if lead.attempts >= per_lead then return over('lead_cap') end
local free = capped_until(lead.phone, now, per_day)
if free and free >= lead.until_ then return over('number_cap') end
if free and free > now then return later('number_cap', free) end
if redis.call('HEXISTS', 'ringback:in-call:phones', lead.phone) == 1
  or redis.call('HEXISTS', 'ringback:in-call:shoppers', lead.shopper) == 1 then
  return later('in_call', now + BUSY_SECONDS)
end

dequeue(id)
redis.call('HSET', lead_key(id), 'state', 'calling', 'call', call, 'started', ARGV[3], 'launched', 0,
  'attempts', lead.attempts + 1)
redis.call('HSET', P .. 'calls', call, id)
redis.call('HSET', 'ringback:in-call:phones', lead.phone, call)
redis.call('HSET', 'ringback:in-call:shoppers', lead.shopper, call)
local attempts = 'ringback:attempts:' .. lead.phone
redis.call('ZADD', attempts, ARGV[3], call)
redis.call('ZREMRANGEBYSCORE', attempts, '-inf', text(now - MARK_SECONDS))
redis.call('EXPIRE', attempts, MARK_SECONDS)
return {'reserved', lead.json, lead.attempts + 1}
