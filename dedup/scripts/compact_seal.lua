#!lua flags=allow-oom
-- Move what is sealed of some buckets of one layout from hot hashes (with owners) to cold blobs (fingerprints only), and drop days before
-- `keep`. ARGV: version of the layout, first bucket, how many, EXAT backstop of blobs. Returns ids moved. Safe to repeat, by anyone.
if not m then return redis.error_reply('NOCANARY a shard of the index is empty or was never initialised') end
local sub, byte, F, exat, moved = string.sub, string.byte, m.F, ARGV[4], 0
local version, first = tonumber(ARGV[1]), tonumber(ARGV[2])
local cold, days = cold_key(version), {}
for _, h in ipairs(m.hot) do
  if h.version == version and h.day <= m.sealed then days[#days + 1] = h.day end
end
table.sort(days)
for b = first, first + tonumber(ARGV[3]) - 1 do
  local bucket = pack('>I4', b)
  local c, s, out = call('GET', cold .. bucket) or '', 1, {}
  while s < #c and unpack('>I4', c, s) < m.keep do s = s + 6 + (byte(c, s + 4) * 256 + byte(c, s + 5)) * F end
  for _, day in ipairs(days) do
    local hot = hot_key(day, version) .. bucket
    local ids = call('HKEYS', hot)
    if #ids > 0 then
      if day >= m.keep then
        for i = 1, #ids do ids[i] = sub(ids[i], 1, F) end
        for i = 1, #ids, 65535 do
          local last = math.min(i + 65534, #ids)
          out[#out + 1] = pack('>I4H', day, last - i + 1) .. table.concat(ids, '', i, last)
        end
      end
      call('UNLINK', hot)
      moved = moved + #ids
    end
  end
  if s > 1 or #out > 0 then
    c = sub(c, s) .. table.concat(out)
    if c == '' then call('UNLINK', cold .. bucket) else call('SET', cold .. bucket, c, 'EXAT', exat) end
  end
end
return moved
