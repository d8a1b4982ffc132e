-- ARGV: limits; 'acquire' (or keep) or 'release'; token; milliseconds. Returns 1 when the token holds the campaign
-- afterwards.
local what, token, ms = ARGV[2], ARGV[3], ARGV[4]
local leader = P .. 'leader'
local holder = redis.call('GET', leader)

if what == 'acquire' and not holder then
  redis.call('SET', leader, token, 'PX', ms)
  return 1
end
if holder ~= token then return 0 end
if what == 'release' then
  redis.call('DEL', leader)
  return 0
end
redis.call('PEXPIRE', leader, ms)
return 1
