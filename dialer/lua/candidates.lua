-- ARGV: limits, now, how many. Returns the bodies of the best leads that may be called now, best first; nil as the
-- first: ask again, there is more to be ranked.
local now = tonumber(ARGV[2])
if advance(now) then return {false} end
local found = {}
for i, id in ipairs(redis.call('ZREVRANGE', P .. 'ready', 0, tonumber(ARGV[3]) - 1)) do found[i] = body_of(id) end
return found
