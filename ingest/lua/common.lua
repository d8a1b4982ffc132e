-- Prepended to every script of the registry. ARGV[1] is msgpack: what is asked or told; ARGV[2] how long names are kept
-- and ARGV[3] how long events are, milliseconds. No key or value holds a name, an e-mail address or a phone number.
--
--   ringback:identity:<ref>               a reference -> the shopper it was given to
--   ringback:identity:moved:<shopper>     the shopper that this one is now; '?' before it: not known to be published
--   ringback:identity:customer:<shopper>  the shopper's customer reference
--   ringback:identity:refs:<shopper>      set: its references, and the shoppers that were merged into it
--   ringback:seen:<event>                 an event that was published
--
-- Merges point to smaller ids, so that chains of them end. A pointer outlives what leads to it: a reference that is read
-- again is made to point to where the chain ends, and nothing new is given to a shopper that has moved.
local IDENTITY = 'ringback:identity:'
local MOVED = IDENTITY .. 'moved:'
local CUSTOMER = IDENTITY .. 'customer:'
local REFS = IDENTITY .. 'refs:'
local SEEN = 'ringback:seen:'
local told = cmsgpack.unpack(ARGV[1])
local window = tonumber(ARGV[2])

-- Who a shopper is now, and the merges on the way that are not settled: {winner, loser, winner, loser ...}.
local function follow(shopper)
  local unsettled = {}
  while true do
    local to = redis.call('GET', MOVED .. shopper)
    if not to then return shopper, unsettled end
    if to:sub(1, 1) == '?' then
      to = to:sub(2)
      unsettled[#unsettled + 1] = to
      unsettled[#unsettled + 1] = shopper
    end
    shopper = to
  end
end

local function give(ref, shopper)
  redis.call('SET', IDENTITY .. ref, shopper, 'PX', window)
  redis.call('SADD', REFS .. shopper, ref)
  redis.call('PEXPIRE', REFS .. shopper, window)
  redis.call('PEXPIRE', CUSTOMER .. shopper, window)
end
