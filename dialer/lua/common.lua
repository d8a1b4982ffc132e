-- Prepended to every script of the hopper. KEYS[1] is the campaign's prefix, "ringback:campaign:<name>:"; ARGV[1] are
-- the campaign's limits as JSON (dialer/limits.py).
--
-- Of a campaign:  waiting         sorted set of lead ids by the time at which something is next due for them
--                 ready           sorted set of lead ids that may be called, by rank
--                 own:<agent>     the same for callbacks that this agent promised
--                 until, expired  sorted sets of lead ids: when a queued lead expires; leads that expired, unreported
--                 lead:<id>       hash: the state of a lead (queued, calling, expired, done); short values, so that
--                                 it is stored as one list
--                 bodies          hash: lead -> the lead itself, compressed
--                 lead-of         hash: shopper -> the one lead that is queued or being called
--                 calls           hash: call -> lead
--                 leases          sorted set of calls that are reserved and not launched, by when that must be done
--                 withdrawn       hash: call -> why it must be hung up if it still rings
--                 ended:<call>    string, for a day: the lead of a call that reached an agent
--                 placed, spent   hashes: calls by minute, and what they cost by ten minutes
--                 leader          string: token of the dialer that holds the campaign
-- Of everybody:   bought:<shopper>, opted-out:shoppers, opted-out:phones, do-not-call, do-not-call:national,
--                 lockout:<phone_ref>, lockout-of:<shopper>: strings, no call before this time
--                 attempts:<phone_ref>, attempts-of:<shopper>: sorted sets of calls by time
--                 in-call:shoppers, in-call:phones (hashes to the call id: locks, held until the call is settled)
--                 national-lists (hash: country -> when its list was obtained)
local P = KEYS[1]
local limits = cjson.decode(ARGV[1])
local DAY = 86400
local MARK_SECONDS = 30 * DAY
local ATTEMPTS_SECONDS = 90 * DAY -- dialer.limits.LONGEST_CAP
local AT_ONCE = 200
-- Ranks are far below; the earlier a callback was promised for, the better its rank.
local PROMISED = 1e12

local FIELDS = {'state', 'shopper', 'phone', 'last', 'from', 'till', 'attempts', 'priorities', 'rank', 'caps',
  'promise', 'agent', 'call', 'started', 'country'}

local function text(number) return string.format('%.17g', number) end

local function lead_key(id) return P .. 'lead:' .. id end

local function body_of(id) return redis.call('HGET', P .. 'bodies', id) or '' end

-- A lead that is over has nothing but its id and state.
local function load(id)
  local values = redis.call('HMGET', lead_key(id), unpack(FIELDS))
  if not values[1] then return nil end
  local lead = {id = id}
  for i, field in ipairs(FIELDS) do lead[field] = values[i] end
  if lead.state == 'done' then return lead end
  for _, field in ipairs({'last', 'from', 'till', 'attempts'}) do lead[field] = tonumber(lead[field]) end
  return lead
end

-- Worth falls with age at the same rate for all: ln(priority x exp(-(now - last) / decay)), less what all have in
-- common.
local function rank(lead)
  if lead.promise then return text(PROMISED - lead.from) end
  local wanted, priority = lead.attempts + 1, 1
  for each in string.gmatch(lead.priorities, '[^,]+') do
    priority = tonumber(each)
    wanted = wanted - 1
    if wanted == 0 then break end
  end
  return text(math.log(math.max(priority, 1)) + lead.last / limits.decay)
end

local function unown(lead)
  if lead.agent then redis.call('ZREM', P .. 'own:' .. lead.agent, lead.id) end
end

local function dequeue(lead)
  redis.call('ZREM', P .. 'ready', lead.id)
  redis.call('ZREM', P .. 'waiting', lead.id)
  redis.call('ZREM', P .. 'until', lead.id)
  unown(lead)
end

local function enqueue(lead, from)
  redis.call('ZREM', P .. 'ready', lead.id)
  unown(lead)
  redis.call('HSET', lead_key(lead.id), 'state', 'queued', 'from', text(from), 'rank', rank(lead))
  redis.call('ZADD', P .. 'waiting', text(from), lead.id)
  redis.call('ZADD', P .. 'until', text(lead.till), lead.id)
end

local function leave(lead)
  dequeue(lead)
  if redis.call('HGET', P .. 'lead-of', lead.shopper) == lead.id then
    redis.call('HDEL', P .. 'lead-of', lead.shopper)
  end
end

-- The lead is over. A tombstone without personal data stays, by which a repeated offer is recognised.
local function finish(lead, why)
  leave(lead)
  redis.call('ZREM', P .. 'expired', lead.id)
  redis.call('HDEL', P .. 'bodies', lead.id)
  redis.call('DEL', lead_key(lead.id))
  redis.call('HSET', lead_key(lead.id), 'state', 'done', 'why', why)
  redis.call('EXPIRE', lead_key(lead.id), MARK_SECONDS)
end

local function expire(lead)
  leave(lead)
  redis.call('HSET', lead_key(lead.id), 'state', 'expired')
  redis.call('ZADD', P .. 'expired', text(lead.till), lead.id)
end

-- Expire what is over and rank what has become callable; true when there may be more of it.
local function advance(now)
  local over = redis.call('ZRANGEBYSCORE', P .. 'until', '-inf', text(now), 'LIMIT', 0, AT_ONCE)
  for _, id in ipairs(over) do expire(load(id)) end
  -- All leads of a country may become callable at the same second: this is kept short.
  local due = redis.call('ZRANGEBYSCORE', P .. 'waiting', '-inf', text(now), 'LIMIT', 0, AT_ONCE)
  if #due == 0 then return #over == AT_ONCE end
  redis.call('ZREMRANGEBYRANK', P .. 'waiting', 0, #due - 1)
  local ready = {}
  for _, id in ipairs(due) do
    local score, agent, from = unpack(redis.call('HMGET', lead_key(id), 'rank', 'agent', 'from'))
    local until_ = agent and tonumber(from) + limits.own_patience or now
    if until_ > now then
      redis.call('ZADD', P .. 'own:' .. agent, score, id)
      redis.call('ZADD', P .. 'waiting', text(until_), id)
    else
      if agent then redis.call('ZREM', P .. 'own:' .. agent, id) end
      ready[#ready + 1] = score
      ready[#ready + 1] = id
    end
  end
  if #ready > 0 then redis.call('ZADD', P .. 'ready', unpack(ready)) end
  return #over == AT_ONCE or #due == AT_ONCE
end

-- Why a shopper must not be called at all, or nil.
local function forbidden(shopper, phone, last)
  if redis.call('SISMEMBER', 'ringback:opted-out:shoppers', shopper) == 1
    or redis.call('SISMEMBER', 'ringback:opted-out:phones', phone) == 1 then
    return 'opted_out'
  end
  if redis.call('SISMEMBER', 'ringback:do-not-call', phone) == 1
    or redis.call('SISMEMBER', 'ringback:do-not-call:national', phone) == 1 then
    return 'do_not_call'
  end
  local bought = redis.call('GET', 'ringback:bought:' .. shopper)
  if bought and tonumber(bought) >= last then return 'bought' end
  return nil
end

-- Whether the national list that must be recent where the lead is called is missing or too old. Who has no country, as
-- leads of former versions, is of all.
local function lacks_list(lead, now)
  for country, age in pairs(limits.lists) do
    if not lead.country or lead.country == country then
      local obtained = redis.call('HGET', 'ringback:national-lists', country)
      if not obtained or now >= tonumber(obtained) + age then return true end
    end
  end
  return false
end

local function attempts_keys(shopper, phone)
  return {'ringback:attempts:' .. phone, 'ringback:attempts-of:' .. shopper}
end

-- When the caps of a lead ("seconds:calls,...") and of the campaign allow another call, `now` or earlier: they do; and
-- how many calls are remembered.
local function capped_until(shopper, phone, caps, now)
  local free, remembered = now, 0
  for _, key in ipairs(attempts_keys(shopper, phone)) do
    local all = redis.call('ZCARD', key)
    remembered = remembered + all
    local function heed(seconds, calls)
      if calls < 1 then free = math.huge end
      if calls < 1 or calls > all then return end
      local newest = redis.call('ZREVRANGEBYSCORE', key, '+inf', '(' .. text(now - seconds), 'WITHSCORES', 'LIMIT',
        calls - 1, 1)
      if newest[2] then free = math.max(free, tonumber(newest[2]) + seconds) end
    end
    for _, cap in ipairs(limits.caps) do heed(cap[1], cap[2]) end
    for seconds, calls in string.gmatch(caps or '', '([^:,]+):([^,]+)') do heed(tonumber(seconds), tonumber(calls)) end
  end
  return free, remembered
end

-- The time before which neither the number nor the person is called, or nil.
local function locked_until(shopper, phone)
  local found = redis.call('MGET', 'ringback:lockout:' .. phone, 'ringback:lockout-of:' .. shopper)
  local of_phone, of_shopper = tonumber(found[1] or nil), tonumber(found[2] or nil)
  return of_phone and of_shopper and math.max(of_phone, of_shopper) or of_phone or of_shopper
end

-- The later lockout holds. Kept for a day longer, whatever clock Redis goes by.
local function lock_out(shopper, phone, until_, now)
  until_ = math.max(until_, locked_until(shopper, phone) or until_)
  local seconds = math.max(DAY, math.ceil(until_ - now) + DAY)
  redis.call('SET', 'ringback:lockout:' .. phone, text(until_), 'EX', seconds)
  redis.call('SET', 'ringback:lockout-of:' .. shopper, text(until_), 'EX', seconds)
end

-- Counters by intervals of `width` seconds: of the minutes or days that a window touches, so rather too many.
local function total(book, width, window, now)
  local intervals = {}
  for i = math.floor((now - window) / width), math.floor(now / width) do intervals[#intervals + 1] = i end
  local sum = 0
  for _, count in ipairs(redis.call('HMGET', P .. book, unpack(intervals))) do sum = sum + (tonumber(count) or 0) end
  return sum
end

local function count(book, width, window, at, number)
  local key, interval = P .. book, math.floor(at / width)
  redis.call('HINCRBY', key, interval, text(number))
  if redis.call('HLEN', key) > 2 * window / width then
    for _, old in ipairs(redis.call('HKEYS', key)) do
      if tonumber(old) < interval - window / width - 1 then redis.call('HDEL', key, old) end
    end
  end
end

local function count_call(at, number) count('placed', 60, 3600, at, number) end
local function count_cost(at, cost) if cost ~= 0 then count('spent', 600, DAY, at, cost) end end

-- The call is over, and its lead goes back from `retry` (nil: never) on, if it had fewer calls than `most`, or is
-- finished. `undo`: it was never placed.
local function settle(call, outcome, retry, undo, most)
  local id = redis.call('HGET', P .. 'calls', call)
  if not id then return 'unknown' end
  local lead = load(id)
  local flag = redis.call('HGET', P .. 'withdrawn', call)
  redis.call('HDEL', P .. 'calls', call)
  redis.call('ZREM', P .. 'leases', call)
  redis.call('HDEL', P .. 'withdrawn', call)
  redis.call('HDEL', 'ringback:in-call:phones', lead.phone)
  redis.call('HDEL', 'ringback:in-call:shoppers', lead.shopper)
  if undo then
    for _, key in ipairs(attempts_keys(lead.shopper, lead.phone)) do redis.call('ZREM', key, call) end
    lead.attempts = redis.call('HINCRBY', lead_key(id), 'attempts', -1)
    count_call(tonumber(lead.started), -1)
    count_cost(tonumber(lead.started), -limits.price_of_call)
  elseif outcome == 'connected' then
    redis.call('SET', P .. 'ended:' .. call, body_of(id), 'EX', DAY)
  end

  local why = flag or forbidden(lead.shopper, lead.phone, lead.last)
  if not why and lead.promise == 'new' then
    redis.call('HSET', lead_key(id), 'promise', 'kept', 'attempts', 0)
    lead.attempts, retry = 0, lead.from
  end
  if retry and not why and retry < lead.till and (undo or lead.attempts < most or lead.promise == 'new') then
    redis.call('HDEL', lead_key(id), 'call', 'started', 'launched')
    enqueue(lead, retry)
    return 'requeued'
  end
  finish(lead, why or outcome)
  return 'finished'
end
