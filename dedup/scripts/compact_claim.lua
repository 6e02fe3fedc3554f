-- Claim ids for their owners. KEYS[1] = '{<shard>}' (cluster hash tag; every key here begins with it).
-- ARGV: EXAT backstop of hot hashes (unix s), the state that the shard must be in, then pairs: day of the claims, records of 20 bytes
-- (hash u32, whose upper bits are the bucket | fingerprint 8 | owner 8). Record indexes run on over the pairs.
-- Reply: conflicts only, each 10 bytes: record index u16 | owner 8. An absent index = fresh, or already its own. No owner begins with 0:
-- '\0c' = found on a sealed day, coordinates are not kept there; '\0s' = the same, but the claiming record itself is of a sealed day, so
-- it may be its own echo.
if not m then return redis.error_reply('NOCANARY a shard of the index is empty or was never initialised') end
if m.state ~= tonumber(ARGV[2]) then return redis.error_reply('NOCANARY a shard of the index is being rebuilt') end
local sub, find, byte, floor, exat, F = string.sub, string.find, string.byte, math.floor, ARGV[1], m.F
local current, nl, colds, spans, place = m.layouts[#m.layouts], #m.layouts, {}, {}, {}
for i, l in ipairs(m.layouts) do
  colds[i], spans[i], place[l.version] = cold_key(l.version), 2 ^ (32 - l.bits), i
end

local function in_cold(c, g)  -- segments: day u32 | count u16 | count x fingerprint[1..F]; a hit counts only when aligned inside one
  local q = find(c, g, 1, true)
  while q do
    local s = 1
    while s <= q do
      local e = s + 6 + (byte(c, s + 4) * 256 + byte(c, s + 5)) * F
      if q < e then
        if q >= s + 6 and (q - s - 6) % F == 0 then return true end
        break
      end
      s = e
    end
    q = find(c, g, q + 1, true)
  end
  return false
end

local out, n, index, buckets = {}, 0, 0, {}
for a = 3, #ARGV, 2 do
  local day, blob, kind, fresh = tonumber(ARGV[a]), ARGV[a + 1], '\0c\0\0\0\0\0\0', 0
  if day <= m.sealed then day, kind = m.sealed + 1, '\0s\0\0\0\0\0\0' end
  local known, hot, at = false, {}, {}
  for _, h in ipairs(m.hot) do
    if h.day == day and h.version == current.version then known = true
    else hot[#hot + 1], at[#at + 1] = hot_key(h.day, h.version), place[h.version] end
  end
  if not known then
    m.hot[#m.hot + 1] = {day = day, version = current.version}
    keep_meta()
  end
  local own, nh = hot_key(day, current.version), #hot
  for o = 1, #blob - 19, 20 do
    local h, fp, v, old = unpack('>I4', blob, o), sub(blob, o + 4, o + 11), sub(blob, o + 12, o + 19), false
    for i = 1, nl do
      local bucket = pack('>I4', floor(h / spans[i]))
      buckets[i] = bucket
      if not old then
        local c = call('GET', colds[i] .. bucket)
        if c and in_cold(c, sub(fp, 1, F)) then old = kind end
      end
    end
    if not old then
      for i = 1, nh do
        old = call('HGET', hot[i] .. buckets[at[i]], fp)
        if old then break end
      end
    end
    if not old then
      local k = own .. buckets[nl]
      if call('HSETNX', k, fp, v) == 0 then old = call('HGET', k, fp)
      else
        fresh = fresh + 1
        if call('HLEN', k) == 1 then call('EXPIREAT', k, exat) end
      end
    end
    if old and old ~= v then
      n = n + 1
      out[n] = pack('>H', index) .. old
    end
    index = index + 1
  end
  if fresh > 0 then call('HINCRBY', p .. 'n', day, fresh) end
end
return table.concat(out)
