-- ARGV: limits, shopper, reason, time of the event, phone_ref or ''.
-- Returns {body of the lead taken out, call to hang up}.
local shopper, reason, at, phone = ARGV[2], ARGV[3], ARGV[4], ARGV[5]

if reason == 'bought' then
  local mark = 'ringback:bought:' .. shopper
  local before = redis.call('GET', mark)
  if not before or tonumber(before) < tonumber(at) then before = at end
  redis.call('SET', mark, before, 'EX', MARK_SECONDS)
elseif reason == 'opted_out' then
  redis.call('SADD', 'ringback:opted-out:shoppers', shopper)
  if phone ~= '' then redis.call('SADD', 'ringback:opted-out:phones', phone) end
end

local held = redis.call('HGET', P .. 'lead-of', shopper)
if not held then return {'', ''} end
local lead = load(held)
if reason == 'opted_out' then redis.call('SADD', 'ringback:opted-out:phones', lead.phone) end

-- Whoever asked to be called back looks at the cart meanwhile: that changes nothing.
if reason == 'changed' and lead.promise then return {'', ''} end
local after = tonumber(at) - lead.last
if not (reason == 'opted_out' or (reason == 'bought' and after >= 0) or after > 0) then return {'', ''} end
if lead.state == 'calling' then
  -- State is the truth; the notice only makes the dialer look sooner.
  redis.call('HSETNX', P .. 'withdrawn', lead.call, reason)
  redis.call('PUBLISH', P .. 'notices', lead.call)
  return {'', lead.call}
end
local body = body_of(held)
finish(lead, reason)
return {body, ''}
