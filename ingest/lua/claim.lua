-- Told {expected: {shopper, customer or ''} ..., claims: {ref, shopper} ..., customers: {shopper, customer} ...,
-- merges: {winner, loser} ...}. Does all of it and returns 1, or nothing and returns 0 where something has changed since
-- it was read.
local expected, claims, customers, merges = told[1], told[2], told[3], told[4]

for _, one in ipairs(expected) do
  if redis.call('EXISTS', MOVED .. one[1]) == 1 or (redis.call('GET', CUSTOMER .. one[1]) or '') ~= one[2] then
    return 0
  end
end
for _, claim in ipairs(claims) do
  if redis.call('EXISTS', IDENTITY .. claim[1]) == 1 then return 0 end
end

for _, claim in ipairs(claims) do give(claim[1], claim[2]) end
for _, one in ipairs(customers) do redis.call('SET', CUSTOMER .. one[1], one[2], 'PX', window) end
for _, merge in ipairs(merges) do
  local winner, loser = merge[1], merge[2]
  redis.call('SET', MOVED .. loser, '?' .. winner, 'PX', window)
  redis.call('SUNIONSTORE', REFS .. winner, REFS .. winner, REFS .. loser)
  redis.call('SADD', REFS .. winner, loser)
  redis.call('PEXPIRE', REFS .. winner, window)
  redis.call('DEL', REFS .. loser, CUSTOMER .. loser)
end
return 1
