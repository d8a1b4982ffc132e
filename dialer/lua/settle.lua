-- ARGV: call id, outcome, retry at or '', '1' when the call was never placed and so counts for no cap.
-- Returns 'requeued', 'finished', or 'unknown' when the call was settled before.
local call, outcome, retry, undo = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'

local id = redis.call('HGET', P .. 'calls', call)
if not id then return 'unknown' end
local lead = load(id)
local flag = redis.call('HGET', P .. 'withdrawn', call)
redis.call('HDEL', P .. 'calls', call)
redis.call('HDEL', P .. 'withdrawn', call)
redis.call('HDEL', 'ringback:in-call:phones', lead.phone)
redis.call('HDEL', 'ringback:in-call:shoppers', lead.shopper)
if undo then
  redis.call('ZREM', 'ringback:attempts:' .. lead.phone, call)
  redis.call('HINCRBY', lead_key(id), 'attempts', -1)
end

local why = flag or forbidden(lead.shopper, lead.phone, lead.last)
if retry ~= '' and not why and tonumber(retry) < lead.until_ then
  redis.call('HDEL', lead_key(id), 'call')
  -- Whoever did not answer once is less likely to answer next time. A call that was never placed changes nothing.
  local ranks = cjson.decode(lead.json).retry_priorities
  local rank = not undo and ranks and ranks[math.min(lead.attempts, #ranks)]
  if rank then redis.call('HSET', lead_key(id), 'priority', text(rank)) end
  enqueue(id, retry, text(lead.until_))
  return 'requeued'
end
finish(lead, why or outcome)
return 'finished'
