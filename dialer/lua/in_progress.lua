-- Returns {call id, body, started, launched, attempt, why withdrawn} of each call that is not settled, flattened.
local found = {}
for i, value in ipairs(redis.call('HGETALL', P .. 'calls')) do
  if i % 2 == 1 then
    found[#found + 1] = value
  else
    local call = found[#found]
    local f = redis.call('HMGET', lead_key(value), 'started', 'launched', 'attempts')
    found[#found + 1] = body_of(value)
    for j = 1, 3 do found[#found + 1] = f[j] end
    found[#found + 1] = redis.call('HGET', P .. 'withdrawn', call) or ''
  end
end
return found
