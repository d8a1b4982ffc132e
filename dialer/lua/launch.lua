-- The last look before the originate is sent. ARGV: limits, call id, leader's token, now. Returns '' or why not.
local call, token, now = ARGV[2], ARGV[3], tonumber(ARGV[4])

if redis.call('GET', P .. 'leader') ~= token then return 'not_leader' end
local id = redis.call('HGET', P .. 'calls', call)
if not id then return 'gone' end
local lead = load(id)
local why = redis.call('HGET', P .. 'withdrawn', call) or forbidden(lead.shopper, lead.phone, lead.last)
if why then return why end
if lead.till <= now then return 'expired' end
if lacks_list(lead, now) then return 'no_current_list' end
redis.call('HSET', lead_key(id), 'launched', 1)
redis.call('ZREM', P .. 'leases', call)
return ''
