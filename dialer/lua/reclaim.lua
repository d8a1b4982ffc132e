-- ARGV: limits, now, leader's token, how many. Puts back leads whose reservation is over and was never launched.
-- Returns {call id, body, started, launched, attempt, why withdrawn} of each, flattened.
local now, found = tonumber(ARGV[2]), {}
if redis.call('GET', P .. 'leader') ~= ARGV[3] then return found end
for _, call in ipairs(redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', text(now), 'LIMIT', 0, tonumber(ARGV[4]))) do
  local id = redis.call('HGET', P .. 'calls', call)
  local lead, n = load(id), #found
  found[n + 1], found[n + 2], found[n + 3], found[n + 4] = call, body_of(id), lead.started, '0'
  found[n + 5], found[n + 6] = tostring(lead.attempts), redis.call('HGET', P .. 'withdrawn', call) or ''
  settle(call, 'unplaced', now, true, 0)
end
return found
