-- ARGV: limits, how many. Returns the bodies of leads that expired and were not forgotten yet.
local found = {}
for i, id in ipairs(redis.call('ZRANGE', P .. 'expired', 0, tonumber(ARGV[2]) - 1)) do found[i] = body_of(id) end
return found
