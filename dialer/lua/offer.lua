-- ARGV: limits, lead id, body, shopper, phone_ref, priorities, last activity, from, till, caps,
-- country, now
local id, body, now = ARGV[2], ARGV[3], tonumber(ARGV[12])
local lead = {id = id, shopper = ARGV[4], phone = ARGV[5], priorities = ARGV[6], last = tonumber(ARGV[7]),
  from = tonumber(ARGV[8]), till = tonumber(ARGV[9]), caps = ARGV[10], country = ARGV[11], attempts = 0}

if redis.call('EXISTS', lead_key(id)) == 1 then return 'repeated' end
if lead.till <= now then return 'expired' end
local why = forbidden(lead.shopper, lead.phone, lead.last)
if why then return why end
if capped_until(lead.shopper, lead.phone, lead.caps, now) >= lead.till then return 'cap' end
if (locked_until(lead.shopper, lead.phone) or now) >= lead.till then return 'lockout' end

local held = redis.call('HGET', P .. 'lead-of', lead.shopper)
if held then
  local other = load(held)
  if other.state == 'calling' or other.promise or other.last > lead.last
    or (other.last == lead.last and tonumber(other.rank) >= tonumber(rank(lead))) then
    return 'already_queued'
  end
  finish(other, 'replaced')
end

redis.call('HSET', P .. 'bodies', id, body)
redis.call('HSET', lead_key(id), 'shopper', lead.shopper, 'phone', lead.phone, 'priorities', lead.priorities,
  'last', ARGV[7], 'till', ARGV[9], 'country', lead.country, 'attempts', 0)
if lead.caps ~= '' then redis.call('HSET', lead_key(id), 'caps', lead.caps) end
redis.call('HSET', P .. 'lead-of', lead.shopper, id)
enqueue(lead, lead.from)
return 'queued'
