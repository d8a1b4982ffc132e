-- ARGV: lead id, JSON, shopper, phone_ref, priority, last activity, from, until, now, calls a day and number
local id, json, shopper, phone, priority = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local last, from, until_, now, per_day = ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10])

if redis.call('EXISTS', lead_key(id)) == 1 then return 'repeated' end
if tonumber(until_) <= now then return 'expired' end
local why = forbidden(shopper, phone, tonumber(last))
if why then return why end
local free = capped_until(phone, now, per_day)
if free and free >= tonumber(until_) then return 'cap' end

local held = redis.call('HGET', P .. 'lead-of', shopper)
if held then
  local other = load(held)
  if other.state == 'calling' or other.last > tonumber(last)
    or (other.last == tonumber(last) and tonumber(other.priority) >= tonumber(priority)) then
    return 'already_queued'
  end
  finish(other, 'replaced')
end

redis.call('HSET', lead_key(id), 'json', json, 'shopper', shopper, 'phone', phone, 'priority', priority, 'last', last,
  'until', until_, 'attempts', 0)
redis.call('HSET', P .. 'lead-of', shopper, id)
enqueue(id, from, until_)
return 'queued'
