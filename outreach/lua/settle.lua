-- ARGV: message id, claimant, standing ('sent', 'failed', or '' to give the claim back), detail, time.
-- Changes nothing when the claim is not the claimant's any more.
local record = 'ringback:message:' .. ARGV[1]
local f = redis.call('HMGET', record, 'standing', 'claimant')
if f[1] ~= 'claimed' or f[2] ~= ARGV[2] then return 0 end
if ARGV[3] == '' then
  redis.call('DEL', record)
else
  redis.call('HSET', record, 'standing', ARGV[3], 'detail', ARGV[4], 'time', ARGV[5])
end
return 1
