/**
 * The script that counts, run by Redis or Valkey: rules W1… in src/domain/limits/SPEC.md. It needs 5.0 or newer.
 *
 * `KEYS[1]` says which gateways there are: a hash of `seen touched base`, in milliseconds of Redis' clock, where `base` is
 * what a gateway's own clock showed as 0. The other keys are one for each subject: a hash of what each gateway told, in
 * MessagePack. Entries are slice and count, one after the other, on the gateway's own clock; so a clock of Redis that
 * jumps is mended by the next sign of life, and telling a thing twice changes nothing.
 */
import { blockSpan, sliceSpan, windowSpan } from '../../../domain/limits/index.ts'

/** What the reply begins with. */
export const status = { unknown: 0, done: 1, late: 2, early: 3 } as const

/** Integers in the answer to one word. */
export const answerLength = 9

export const script = `
local SLICE, WINDOW, BLOCK = ${sliceSpan}, ${windowSpan}, ${blockSpan}
-- A gateway that was silent for ALIVE counts as absent, its places come back after PLACES, it is forgotten after FORGET.
local ALIVE, PLACES, FORGET = 2000, 5000, 100000
-- How long a store that has just begun, or whose clock jumped, waits for the other gateways.
local GATHER = 1000

local call = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if call.kind == 'look' then return {${status.done}, now} end
if now > call.deadline then return {${status.late}, now} end

local me = call.gateway
local gateways, alive, seen = {}, 0, 0
local listed = redis.call('HGETALL', KEYS[1])
local short = 0
for i = 1, #listed, 2 do
  if listed[i] == 'short' then short = tonumber(listed[i + 1]) end
  local s, t, b = string.match(listed[i + 1], '^(%d+) (%d+) (-?%d+)$')
  s, t, b = tonumber(s), tonumber(t), tonumber(b)
  if listed[i] == 'short' then
    -- Not a gateway: since when there are fewer than there should be.
  elseif now - t > FORGET or t > now + 1000 then
    redis.call('HDEL', KEYS[1], listed[i])
  else
    gateways[listed[i]] = { base = b, touched = t }
    if now - s <= ALIVE then
      if listed[i] == me then seen = s else alive = alive + 1 end
    end
  end
end
if call.kind == 'words' and seen == 0 then return {${status.unknown}, now} end
if call.kind ~= 'hello' and gateways[me] == nil then return {${status.unknown}, now} end
if call.kind == 'words' or call.kind == 'join' then seen = now end
if call.kind == 'leave' then seen = 0 end
if seen > 0 then alive = alive + 1 end
local base = now + 1 - call.sentAt
redis.call('HSET', KEYS[1], me, string.format('%d %d %d', seen, now, base))
redis.call('PEXPIRE', KEYS[1], FORGET)
local expected = math.max(call.gateways, alive)
if alive == expected then
  if short > 0 then redis.call('HDEL', KEYS[1], 'short') end
elseif short == 0 or short > now then
  short = now
  redis.call('HSET', KEYS[1], 'short', string.format('%d', now))
end
if call.kind == 'join' and alive < expected and now - short < GATHER then return {${status.early}, now} end

-- While a gateway is absent, its part of the limit is kept from the others: it may be granting by itself.
local function part(limit) return math.max(1, math.floor(limit * alive / expected)) end
local function leaves(base, slice) return base + (slice + 1) * SLICE + WINDOW end

local function merge(entries, changes)
  local change, merged, sum = {}, {}, 0
  for i = 1, #changes, 2 do change[changes[i]] = (change[changes[i]] or 0) + changes[i + 1] end
  local function keep(slice, count)
    if count > 0 and leaves(base, slice) > now then
      merged[#merged + 1] = slice
      merged[#merged + 1] = count
      sum = sum + count
    end
  end
  for i = 1, #entries, 2 do
    keep(entries[i], entries[i + 1] + (change[entries[i]] or 0))
    change[entries[i]] = nil
  end
  for slice, count in pairs(change) do keep(slice, count) end
  return merged, sum
end

local function grant(room, want, wanted)
  if room <= 0 then return 0 end
  return math.min(want, math.max(math.min(wanted, room), math.floor(room / (2 * alive))))
end

local function gauge(word, name, mine, others)
  if type(word) ~= 'table' then return 0, 0, 0 end
  local entries, own = merge(mine[name], word.changes)
  local theirs, leaving = 0, {}
  for _, other in ipairs(others) do
    local e = other.told[name]
    for i = 1, #e, 2 do
      local at = leaves(other.base, e[i])
      if at > now then
        theirs = theirs + e[i + 1]
        leaving[#leaving + 1] = { at, e[i + 1] }
      end
    end
    local held = other.told[name .. 'Held']
    if held > 0 and other.base + other.told.at + BLOCK + WINDOW > now then
      theirs = theirs + held
      leaving[#leaving + 1] = { now + BLOCK, held }
    end
  end
  local limit = part(word.limit)
  local given = grant(limit - own - word.keep - theirs, word.want, word.wanted)
  local fits = 0
  if given < word.wanted then
    local over = own + word.keep + given + theirs + word.smallest - limit
    for i = 1, #entries, 2 do leaving[#leaving + 1] = { leaves(base, entries[i]), entries[i + 1] } end
    table.sort(leaving, function(a, b) return a[1] < b[1] end)
    fits = WINDOW
    for _, one in ipairs(leaving) do
      over = over - one[2]
      if over <= 0 then
        fits = one[1] - now
        break
      end
    end
  end
  mine[name], mine[name .. 'Held'] = entries, word.keep + given
  return given, fits, theirs
end

local reply = {${status.done}, now}
local function answer(...)
  for _, value in ipairs({ ... }) do reply[#reply + 1] = value end
end

for index, word in ipairs(call.words) do
  local key = KEYS[index + 1]
  local mine, others, places = nil, {}, 0
  local told = redis.call('HGETALL', key)
  for i = 1, #told, 2 do
    local gateway = gateways[told[i]]
    if told[i] == me then
      mine = cmsgpack.unpack(told[i + 1])
    elseif gateway == nil then
      redis.call('HDEL', key, told[i])
    else
      local other = { base = gateway.base, told = cmsgpack.unpack(told[i + 1]) }
      others[#others + 1] = other
      if now - gateway.touched <= PLACES then places = places + other.told.places end
    end
  end
  if word.after ~= -1 and word.after ~= (mine and mine.number or 0) then
    answer(0, 0, 0, 0, 0, 0, 0, 0, 0)
  else
    if word.after == -1 or mine == nil then mine = { r = {}, rHeld = 0, t = {}, tHeld = 0 } end
    local r1, r2, r3 = gauge(word.requests, 'r', mine, others)
    local t1, t2, t3 = gauge(word.tokens, 't', mine, others)
    local free = 0
    mine.places = 0
    if type(word.places) == 'table' then
      local p = word.places
      free = grant(part(p.limit) - p.inUse - p.keep - places, p.want, p.wanted)
      mine.places = p.inUse + p.keep + free
    end
    mine.number, mine.at = word.number, call.sentAt
    redis.call('HSET', key, me, cmsgpack.pack(mine))
    redis.call('PEXPIRE', key, FORGET)
    answer(1, r1, r2, r3, t1, t2, t3, free, places)
  end
end
return reply
`
