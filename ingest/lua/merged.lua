-- Told shoppers. Returns msgpack: the shoppers that were merged into them.
local found = {}
for _, shopper in ipairs(told) do
  for _, ref in ipairs(redis.call('SMEMBERS', REFS .. shopper)) do
    if redis.call('EXISTS', MOVED .. ref) == 1 and follow(ref) == shopper then found[#found + 1] = ref end
  end
end
return cmsgpack.pack(found)
