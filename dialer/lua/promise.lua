-- A callback was promised. ARGV: limits, lead id, body, shopper, phone_ref, priorities, last activity, from, till,
-- caps, country, agent or '', now. Returns as offer.lua, or 'calling': it is queued when the call is settled.
local id, body, agent, now = ARGV[2], ARGV[3], ARGV[12], tonumber(ARGV[13])
local lead = {id = id, shopper = ARGV[4], phone = ARGV[5], priorities = ARGV[6], last = tonumber(ARGV[7]),
  from = tonumber(ARGV[8]), till = tonumber(ARGV[9]), caps = ARGV[10], country = ARGV[11], attempts = 0}

if lead.till <= now then return 'expired' end
local why = forbidden(lead.shopper, lead.phone, lead.last)
if why then return why end
local held = redis.call('HGET', P .. 'lead-of', lead.shopper)
local other = held and load(held)
if other and held ~= id then
  if other.state == 'calling' then return 'already_queued' end
  finish(other, 'replaced')
end

local before = load(id)
local calling = before and before.state == 'calling'
if before and not calling then
  if before.state ~= 'done' then leave(before) end
  redis.call('ZREM', P .. 'expired', id)
  redis.call('DEL', lead_key(id))
end
redis.call('HSET', P .. 'bodies', id, body)
redis.call('HSET', P .. 'lead-of', lead.shopper, id)
redis.call('HSET', lead_key(id), 'shopper', lead.shopper, 'phone', lead.phone, 'priorities', lead.priorities,
  'last', ARGV[7], 'from', ARGV[8], 'till', ARGV[9], 'caps', lead.caps,
  'country', lead.country, 'promise', calling and 'new' or 'kept')
redis.call('PERSIST', lead_key(id))
if agent == '' then redis.call('HDEL', lead_key(id), 'agent') else redis.call('HSET', lead_key(id), 'agent', agent) end
if calling then return 'calling' end
redis.call('HSET', lead_key(id), 'attempts', 0)
lead.agent, lead.promise = agent ~= '' and agent, 'kept'
enqueue(lead, lead.from)
return 'queued'
