-- Claim ids for their owners. ARGV: records of 24 bytes (id hash 16 | owner 8), seconds that a claim lives, the key that must be there
-- (the canary, or the mark of a rebuild).
-- Reply: conflicts only, each 12 bytes: index of the record u32 | the other owner 8. An absent index = fresh, or already its own.
if redis.call('EXISTS', ARGV[3]) == 0 then return redis.error_reply('NOCANARY the index is empty or was never initialised') end
local sub, call, blob, ttl, out, n = string.sub, redis.call, ARGV[1], ARGV[2], {}, 0
for o = 0, #blob - 24, 24 do
  local owner = sub(blob, o + 17, o + 24)
  local old = call('SET', 'd' .. sub(blob, o + 1, o + 16), owner, 'NX', 'GET', 'EX', ttl)
  if old and old ~= owner then n = n + 1 out[n] = struct.pack('>I4', o / 24) .. old end
end
return table.concat(out)
