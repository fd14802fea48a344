-- KEYS: buckets, then leases. ARGV: number of buckets, holder, '1' to write,
-- then limit, period and correction (in units) of each bucket. Answers the level of each bucket after.
local buckets = tonumber(ARGV[1])
local answer = {}
for i = 1, buckets do
  local limit, period, cost = tonumber(ARGV[1 + i * 3]), tonumber(ARGV[2 + i * 3]), tonumber(ARGV[3 + i * 3])
  local level = level_of(KEYS[i], limit, period)
  if ARGV[3] == '1' then
    level = math.max(-4503599627370496, math.min(limit * period, level - cost * period))
    keep(KEYS[i], level, limit, period)
  end
  answer[i] = level
end
for i = buckets + 1, #KEYS do redis.call('ZREM', KEYS[i], ARGV[2]) end
return answer
