-- ARGV: limits, call id. Returns the body of its lead, while the call lives and for a day after it reached somebody.
local id = redis.call('HGET', P .. 'calls', ARGV[2])
return id and body_of(id) or redis.call('GET', P .. 'ended:' .. ARGV[2]) or ''
