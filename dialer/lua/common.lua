-- Prepended to every script of the hopper. KEYS[1] is the campaign's prefix, "ringback:campaign:<name>:".
--
-- Of a campaign:  ready, waiting  sorted sets of lead ids, by priority and by the time from which they may be called
--                 until, expired  sorted sets of lead ids: when a queued lead expires; leads that expired, unreported
--                 lead:<id>       hash: the lead and its state (queued, calling, expired, done)
--                 lead-of         hash: shopper -> the one lead that is queued or being called
--                 calls           hash: call -> lead
--                 withdrawn       hash: call -> why it must be hung up if it still rings
--                 leader          string: token of the dialer that holds the campaign
-- Of everybody:   bought:<shopper>, opted-out:shoppers, opted-out:phones, do-not-call, attempts:<phone_ref>,
--                 in-call:shoppers, in-call:phones (hashes to the call id: locks, held until the call is settled)
local P = KEYS[1]
local MARK_SECONDS = 30 * 86400
local DAY = 86400

local function lead_key(id) return P .. 'lead:' .. id end

local function load(id)
  local f = redis.call('HMGET', lead_key(id), 'state', 'shopper', 'phone', 'priority', 'last', 'from', 'until',
    'attempts', 'call', 'json')
  if not f[1] then return nil end
  return {id = id, state = f[1], shopper = f[2], phone = f[3], priority = f[4], last = tonumber(f[5]),
    from = tonumber(f[6]), until_ = tonumber(f[7]), attempts = tonumber(f[8]), call = f[9], json = f[10]}
end

local function dequeue(id)
  redis.call('ZREM', P .. 'ready', id)
  redis.call('ZREM', P .. 'waiting', id)
  redis.call('ZREM', P .. 'until', id)
end

-- `from` and `until_` are the decimal texts that came in, so that no digit is lost.
local function enqueue(id, from, until_)
  redis.call('HSET', lead_key(id), 'state', 'queued', 'from', from)
  redis.call('ZREM', P .. 'ready', id)
  redis.call('ZADD', P .. 'waiting', from, id)
  redis.call('ZADD', P .. 'until', until_, id)
end

local function text(number) return string.format('%.17g', number) end

-- The lead is over. A tombstone without personal data stays, by which a repeated offer is recognised.
local function finish(lead, why)
  dequeue(lead.id)
  redis.call('ZREM', P .. 'expired', lead.id)
  redis.call('HSET', lead_key(lead.id), 'state', 'done', 'why', why)
  redis.call('HDEL', lead_key(lead.id), 'json', 'call')
  redis.call('EXPIRE', lead_key(lead.id), MARK_SECONDS)
  if redis.call('HGET', P .. 'lead-of', lead.shopper) == lead.id then
    redis.call('HDEL', P .. 'lead-of', lead.shopper)
  end
end

local function expire(lead)
  dequeue(lead.id)
  redis.call('HSET', lead_key(lead.id), 'state', 'expired')
  redis.call('ZADD', P .. 'expired', text(lead.until_), lead.id)
  if redis.call('HGET', P .. 'lead-of', lead.shopper) == lead.id then
    redis.call('HDEL', P .. 'lead-of', lead.shopper)
  end
end

-- Why a shopper must not be called at all, or nil.
local function forbidden(shopper, phone, last)
  if redis.call('SISMEMBER', 'ringback:opted-out:shoppers', shopper) == 1
    or redis.call('SISMEMBER', 'ringback:opted-out:phones', phone) == 1 then
    return 'opted_out'
  end
  if redis.call('SISMEMBER', 'ringback:do-not-call', phone) == 1 then return 'do_not_call' end
  local bought = redis.call('GET', 'ringback:bought:' .. shopper)
  if bought and tonumber(bought) >= last then return 'bought' end
  return nil
end

-- When a number that had `cap` calls within 24 hours may be called again; nil when it may be called now.
local function capped_until(phone, now, cap)
  local newest = redis.call('ZREVRANGEBYSCORE', 'ringback:attempts:' .. phone, '+inf', '(' .. text(now - DAY),
    'WITHSCORES', 'LIMIT', cap - 1, 1)
  if #newest == 0 then return nil end
  return tonumber(newest[2]) + DAY
end
