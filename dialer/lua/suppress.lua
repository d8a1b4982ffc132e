-- ARGV: limits, phone_ref. Puts a number on the do-not-call list; a call to it is hung up if it still rings.
redis.call('SADD', 'ringback:do-not-call', ARGV[2])
local call = redis.call('HGET', 'ringback:in-call:phones', ARGV[2])
if call and redis.call('HEXISTS', P .. 'calls', call) == 1 then
  redis.call('HSETNX', P .. 'withdrawn', call, 'do_not_call')
  redis.call('PUBLISH', P .. 'notices', call)
end
return 0
