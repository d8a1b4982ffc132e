-- Told {references, events}. Returns msgpack {references, events}: of each reference {held, shopper, customer, winner,
-- loser ...} as in ingest.identity.Known, '' for none; of each event 1 where it was published before.
-- In the long run this writes nothing: a reference in use is renewed when a quarter of its time has passed.
local known, seen = {}, {}
for i, ref in ipairs(told[1]) do
  local held = redis.call('GET', IDENTITY .. ref)
  local start = held or (redis.call('EXISTS', MOVED .. ref) == 1 and ref)
  if start then
    local shopper, unsettled = follow(start)
    if held and #unsettled == 0 and (held ~= shopper or redis.call('PTTL', IDENTITY .. ref) < window * 0.75) then
      give(ref, shopper)
    end
    known[i] = {held or '', shopper, redis.call('GET', CUSTOMER .. shopper) or '', unpack(unsettled)}
  else
    known[i] = {'', '', redis.call('GET', CUSTOMER .. ref) or ''}
  end
end
for i, event in ipairs(told[2]) do seen[i] = redis.call('EXISTS', SEEN .. event) end
return cmsgpack.pack({known, seen})
