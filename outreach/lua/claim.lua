-- The gate before a message is sent: what became of it is looked up, all rules are checked and it is claimed, in one step.
-- ARGV: message id, shopper, phone_ref, last activity, now, messages a day and number, claimant,
--       time at or before which another claimant's claim is given up, a rule that forbids the message or ''
-- Returns {standing, detail, time, '1' when that was reported before}:
--   claimed   it may be sent now, by this claimant
--   held      another claimant may be sending it, since that time
--   sent, failed, refused   what became of it, for good
--
-- Read here, kept by the hopper's scripts (dialer/lua):
--   ringback:opted-out:shoppers, ringback:opted-out:phones, ringback:do-not-call, ringback:do-not-call:national   sets
--   ringback:bought:<shopper>                                                      time of the last purchase
-- Kept here:
--   ringback:message:<id>            hash: standing, claimant, detail, time, reported
--   ringback:messages:<phone_ref>    sorted set: messages that a send was tried for, by time
local id, shopper, phone, last, now = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local cap, claimant, stale, rule = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8]), ARGV[9]
local KEEP_SECONDS = 30 * 86400
local DAY = 86400

local record = 'ringback:message:' .. id
local tried = 'ringback:messages:' .. phone

local function text(number) return string.format('%.17g', number) end

local function stand(standing, detail)
  redis.call('HSET', record, 'standing', standing, 'claimant', claimant, 'detail', detail, 'time', ARGV[5])
  redis.call('EXPIRE', record, KEEP_SECONDS)
  return {standing, detail, ARGV[5], ''}
end

local f = redis.call('HMGET', record, 'standing', 'claimant', 'detail', 'time', 'reported')
local standing, holder, detail, since, reported = f[1], f[2], f[3], f[4], f[5] or ''
if standing == 'claimed' and reported == '1' then standing = 'sent' end -- it was told before it could be noted
if standing and standing ~= 'claimed' then return {standing, detail, since, reported} end
if standing and holder ~= claimant then
  if tonumber(since) > stale then return {'held', '', since, ''} end
  return stand('failed', 'unknown')
end

if redis.call('SISMEMBER', 'ringback:opted-out:shoppers', shopper) == 1
  or redis.call('SISMEMBER', 'ringback:opted-out:phones', phone) == 1 then
  return stand('refused', 'opted_out')
end
if redis.call('SISMEMBER', 'ringback:do-not-call', phone) == 1
  or redis.call('SISMEMBER', 'ringback:do-not-call:national', phone) == 1 then
  return stand('refused', 'do_not_call')
end
local bought = redis.call('GET', 'ringback:bought:' .. shopper)
if bought and tonumber(bought) >= last then return stand('refused', 'bought') end
if rule ~= '' then return stand('refused', rule) end

local others = redis.call('ZCOUNT', tried, '(' .. text(now - DAY), '+inf')
local own = redis.call('ZSCORE', tried, id)
if own and tonumber(own) > now - DAY then others = others - 1 end
if others >= cap then return stand('refused', 'number_cap') end

redis.call('ZADD', tried, ARGV[5], id)
redis.call('ZREMRANGEBYSCORE', tried, '-inf', text(now - KEEP_SECONDS))
redis.call('EXPIRE', tried, KEEP_SECONDS)
return stand('claimed', '')
