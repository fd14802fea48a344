-- KEYS: buckets, then leases. ARGV: number of buckets, holder, milliseconds of a lease,
-- then limit, period and price of each bucket, then the limit of each lease.
-- Answers the first lease without a place (0: none), then the level of each bucket before.
local buckets = tonumber(ARGV[1])
local holder, ttl = ARGV[2], tonumber(ARGV[3])
local levels, fits = {}, true
for i = 1, buckets do
  local limit, period, price = tonumber(ARGV[1 + i * 3]), tonumber(ARGV[2 + i * 3]), tonumber(ARGV[3 + i * 3])
  levels[i] = level_of(KEYS[i], limit, period)
  if levels[i] < price then fits = false end
end
local crowded = 0
for i = buckets + 1, #KEYS do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', string.format('%.0f', now))
  local places = tonumber(ARGV[3 + buckets * 3 + i - buckets])
  if crowded == 0 and not redis.call('ZSCORE', KEYS[i], holder) and redis.call('ZCARD', KEYS[i]) >= places then
    crowded = i - buckets
  end
end
if fits and crowded == 0 then
  for i = 1, buckets do
    local limit, period, price = tonumber(ARGV[1 + i * 3]), tonumber(ARGV[2 + i * 3]), tonumber(ARGV[3 + i * 3])
    keep(KEYS[i], levels[i] - price, limit, period)
  end
  for i = buckets + 1, #KEYS do
    redis.call('ZADD', KEYS[i], string.format('%.0f', now + ttl), holder)
    redis.call('PEXPIRE', KEYS[i], string.format('%.0f', ttl + 1000))
  end
end
local answer = {crowded}
for i = 1, buckets do answer[i + 1] = levels[i] end
return answer
