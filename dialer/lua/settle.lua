-- ARGV: limits, call id, outcome, retry at or '', '1' when the call was never placed and so counts for no cap,
--       how many calls a lead gets that ended so or '', no other call to the person before this time or '', what the
--       talk cost.
-- Returns 'requeued', 'finished', or 'unknown' when the call was settled before.
local call, outcome, retry, undo = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'
local most, lockout, cost = tonumber(ARGV[6]) or math.huge, tonumber(ARGV[7]), tonumber(ARGV[8])

local id = redis.call('HGET', P .. 'calls', call)
if id then
  local lead = load(id)
  if lockout then lock_out(lead.shopper, lead.phone, lockout, tonumber(lead.started)) end
  count_cost(tonumber(lead.started), cost)
end
return settle(call, outcome, retry, undo, most)
