-- What policy/limits.py says of buckets, in Lua; it stands before each of the other scripts.
-- Levels are in units times milliseconds, whole numbers below 2^53, so that nothing is rounded.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function level_of(key, limit, period)
  local kept = redis.call('HMGET', key, 'l', 'a', 'f')
  local full = limit * period
  -- Once full it is full, whatever its limit has become since.
  if not kept[1] or tonumber(kept[3]) <= now then return full end
  local level, at = tonumber(kept[1]), tonumber(kept[2])
  if now <= at then return math.min(level, full) end
  if now - at >= period and level >= 0 then return full end
  return math.min(full, level + (now - at) * limit)
end

local function keep(key, level, limit, period)
  local full = limit * period
  if level >= full then
    redis.call('DEL', key)
    return
  end
  local wait = period
  if limit > 0 then wait = math.ceil((full - level) / limit) end
  local f = string.format('%.0f', now + wait)
  redis.call('HSET', key, 'l', string.format('%.0f', level), 'a', string.format('%.0f', now), 'f', f)
  redis.call('PEXPIRE', key, string.format('%.0f', wait + 1000))
end
