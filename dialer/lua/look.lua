-- ARGV: limits, now, priorities in ascending order. Returns how many leads may be called now by priority (below the
-- first one, from the first one on, …), how many wait for later, and what the last 24 hours cost.
local now = tonumber(ARGV[2])
advance(now)
local counts, low = {}, '-inf'
for i = 3, #ARGV do
  local edge = text(math.log(tonumber(ARGV[i])) + now / limits.decay)
  counts[#counts + 1] = redis.call('ZCOUNT', P .. 'ready', low, '(' .. edge)
  low = edge
end
counts[#counts + 1] = redis.call('ZCOUNT', P .. 'ready', low, '+inf')
-- Many may have become due at once; they are ranked soon.
counts[1] = counts[1] + redis.call('ZCOUNT', P .. 'waiting', '-inf', text(now))
counts[#counts + 1] = redis.call('ZCOUNT', P .. 'waiting', '(' .. text(now), '+inf')
counts[#counts + 1] = total('spent', 600, DAY, now)
return counts
