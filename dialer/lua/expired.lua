-- ARGV: limit. Returns the JSON of leads that expired and were not forgotten yet.
local found = {}
for i, id in ipairs(redis.call('ZRANGE', P .. 'expired', 0, tonumber(ARGV[1]) - 1)) do
  found[i] = redis.call('HGET', lead_key(id), 'json')
end
return found
