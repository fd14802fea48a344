-- KEYS: leases. ARGV: holder, milliseconds. A lease that ended meanwhile is not taken anew.
for i = 1, #KEYS do
  if redis.call('ZADD', KEYS[i], 'XX', 'CH', string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1]) == 1 then
    redis.call('PEXPIRE', KEYS[i], string.format('%.0f', tonumber(ARGV[2]) + 1000))
  end
end
return now
