-- The gate before calls. ARGV: limits, now, leader's token, seconds that a reservation holds, free agents as JSON, call
-- ids.
-- Returns rows {'reserved', call, body, attempt, agent or ''} and {'refused', reason, body if the lead is over now}, or
-- the single row {'behind'}: ask again, there is more to be ranked.
local now, token, lease, agents = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), cjson.decode(ARGV[5])
local BUSY_SECONDS = 60
-- So soon a list that was loaded is noticed; so often at most a lead that lacks one is looked at.
local LIST_SECONDS = 300
-- Refused leads that one step looks at, so that it stays short.
local MOST_REFUSED = 50
-- Only of people who were called so often are the oldest calls forgotten; of the others when nobody calls for long.
local MANY = 50

if redis.call('GET', P .. 'leader') ~= token then return {{'refused', 'not_leader'}} end
if advance(now) then return {{'behind'}} end

local rows, free = {}, {}
for i = 6, #ARGV do
  local call = ARGV[i]
  local held = redis.call('HGET', P .. 'calls', call)
  if held then
    local lead = load(held)
    rows[#rows + 1] = {'reserved', call, body_of(held), lead.attempts, lead.agent or ''}
  else
    free[#free + 1] = call
  end
end

-- Why the campaign may place no further call, or nil and how many it may.
local function room()
  local most = #free
  if limits.per_hour > 0 then
    most = math.min(most, limits.per_hour - total('placed', 60, 3600, now))
    if most < 1 then return 'campaign_rate' end
  end
  if limits.spend_a_day > 0 then
    local left = limits.spend_a_day - total('spent', 600, DAY, now)
    if limits.price_of_call > 0 then most = math.min(most, math.floor(left / limits.price_of_call)) end
    if left <= 0 or most < 1 then return 'campaign_spend' end
  end
  return nil, most
end

local function over(lead, why)
  local body = body_of(lead.id)
  finish(lead, why)
  return {'refused', why, body}
end

local function later(lead, why, from)
  enqueue(lead, from)
  return {'refused', why, ''}
end

-- nil when the lead may be called now; else it is out of the ranks, and this is the row that says why.
local function refuse(lead)
  if lead.from > now then return later(lead, 'too_early', lead.from) end
  local why = forbidden(lead.shopper, lead.phone, lead.last)
  if why then return over(lead, why) end
  if lead.attempts >= limits.per_lead then return over(lead, 'lead_cap') end
  if lacks_list(lead, now) then return later(lead, 'no_current_list', now + LIST_SECONDS) end
  local capped
  capped, lead.remembered = capped_until(lead.shopper, lead.phone, lead.caps, now)
  if capped >= lead.till then return over(lead, 'number_cap') end
  if capped > now then return later(lead, 'number_cap', capped) end
  local lockout = locked_until(lead.shopper, lead.phone) or now
  if lockout >= lead.till then return over(lead, 'lockout') end
  if lockout > now then return later(lead, 'lockout', lockout) end
  if redis.call('HEXISTS', 'ringback:in-call:phones', lead.phone) == 1
    or redis.call('HEXISTS', 'ringback:in-call:shoppers', lead.shopper) == 1 then
    return later(lead, 'in_call', now + BUSY_SECONDS)
  end
  return nil
end

local function take(lead, call, agent)
  redis.call('ZREM', P .. 'ready', lead.id)
  redis.call('ZREM', P .. 'until', lead.id)
  if lead.agent then dequeue(lead) end
  redis.call('HSET', lead_key(lead.id), 'state', 'calling', 'call', call, 'started', ARGV[2], 'launched', 0,
    'attempts', lead.attempts + 1)
  redis.call('HSET', P .. 'calls', call, lead.id)
  redis.call('ZADD', P .. 'leases', text(now + lease), call)
  redis.call('HSET', 'ringback:in-call:phones', lead.phone, call)
  redis.call('HSET', 'ringback:in-call:shoppers', lead.shopper, call)
  for _, key in ipairs(attempts_keys(lead.shopper, lead.phone)) do
    redis.call('ZADD', key, ARGV[2], call)
    if lead.remembered > MANY then redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now - ATTEMPTS_SECONDS)) end
    redis.call('EXPIRE', key, ATTEMPTS_SECONDS)
  end
  return {'reserved', call, body_of(lead.id), lead.attempts + 1, agent}
end

local function best(queue) return redis.call('ZREVRANGE', P .. queue, 0, 0)[1] end

local why, most = room()
if #free > 0 and why then rows[#rows + 1] = {'refused', why, ''} end
local taken, refused = 0, 0

-- The best lead of a queue that may be called; false when there is none, or enough were looked at.
local function draw(queue, agent)
  local id = best(queue)
  while id and refused < MOST_REFUSED do
    local lead = load(id)
    local row = refuse(lead)
    if not row then
      taken = taken + 1
      rows[#rows + 1] = take(lead, free[taken], agent)
      return true
    end
    rows[#rows + 1] = row
    refused = refused + 1
    id = best(queue)
  end
  return false
end

if not why then
  for _, agent in ipairs(agents) do
    if taken < most then draw('own:' .. agent, agent) end
  end
  while taken < most and draw('ready', '') do end
end
if taken > 0 then
  count_call(now, taken)
  count_cost(now, taken * limits.price_of_call)
end
return rows
