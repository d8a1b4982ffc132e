-- ARGV: now, limit. Returns the JSON of the best leads that may be called now, best first.
local now, limit = ARGV[1], tonumber(ARGV[2])
local AT_ONCE = 1000

for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'until', '-inf', now, 'LIMIT', 0, AT_ONCE)) do
  expire(load(id))
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'waiting', '-inf', now, 'LIMIT', 0, AT_ONCE)) do
  redis.call('ZREM', P .. 'waiting', id)
  redis.call('ZADD', P .. 'ready', redis.call('HGET', lead_key(id), 'priority'), id)
end
local found = {}
for i, id in ipairs(redis.call('ZREVRANGE', P .. 'ready', 0, limit - 1)) do
  found[i] = redis.call('HGET', lead_key(id), 'json')
end
return found
