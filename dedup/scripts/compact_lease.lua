#!lua flags=allow-oom
-- Take a lease, or keep it. KEYS[1] = its key; ARGV: token of whoever asks, milliseconds. Returns 1 when it is the asker's.
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
