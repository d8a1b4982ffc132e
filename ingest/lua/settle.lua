-- What was published: told {merges: {winner, loser} ..., repoints: {ref, before, shopper} ..., erased shoppers,
-- erased references, events}. Returns 1; or does nothing and returns 0 where an erased shopper has become one who was
-- not told of.
local merges, repoints, erased, erased_refs, events = told[1], told[2], told[3], told[4], told[5]
local is_erased, gone = {}, {}

for _, shopper in ipairs(erased) do is_erased[shopper] = true end
for _, shopper in ipairs(erased) do
  if not is_erased[follow(shopper)] then return 0 end
end

for _, merge in ipairs(merges) do
  if redis.call('GET', MOVED .. merge[2]) == '?' .. merge[1] then
    redis.call('SET', MOVED .. merge[2], merge[1], 'PX', window)
  end
end
for _, one in ipairs(repoints) do
  local ref, shopper = one[1], follow(one[3])
  local held = redis.call('GET', IDENTITY .. ref)
  local now = held and follow(held)
  if now and now == follow(one[2]) then
    redis.call('SREM', REFS .. now, ref)
    give(ref, shopper)
  end
end
for _, ref in ipairs(erased_refs) do
  local held = redis.call('GET', IDENTITY .. ref)
  if held then redis.call('SREM', REFS .. follow(held), ref) end
  gone[#gone + 1] = IDENTITY .. ref
end
for _, shopper in ipairs(erased) do
  for _, ref in ipairs(redis.call('SMEMBERS', REFS .. shopper)) do
    local held = redis.call('GET', IDENTITY .. ref)
    if held and is_erased[follow(held)] then gone[#gone + 1] = IDENTITY .. ref end
    if is_erased[follow(ref)] then gone[#gone + 1] = MOVED .. ref end
  end
  gone[#gone + 1] = MOVED .. shopper
  gone[#gone + 1] = CUSTOMER .. shopper
  gone[#gone + 1] = REFS .. shopper
end
-- After all were looked at: what is deleted is what was followed.
for _, key in ipairs(gone) do redis.call('DEL', key) end
for _, event in ipairs(events) do redis.call('SET', SEEN .. event, 1, 'PX', ARGV[3]) end
return 1
