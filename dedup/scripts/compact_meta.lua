-- The memory of one shard, '{<shard>}m', big endian; every script of the compact index begins with this text:
-- sealed u32 | swept u32 | keep u32 | F u8 | state u8 | layouts u8 | hot u16, then per layout: version u8 | bits u8 | newest day sealed
-- into it u32 (the last layout is the one that is written), then per hot hash: day u32 | version of its layout u8.
local p, call, pack, unpack = KEYS[1], redis.call, struct.pack, struct.unpack
local raw = call('GET', p .. 'm')
local m
if raw then
  m = {layouts = {}, hot = {}}
  local nl, nh, at
  m.sealed, m.swept, m.keep, m.F, m.state, nl, nh, at = unpack('>I4I4I4BBBH', raw)
  for i = 1, nl do
    local l = {}
    l.version, l.bits, l.newest, at = unpack('>BBI4', raw, at)
    m.layouts[i] = l
  end
  for i = 1, nh do
    local h = {}
    h.day, h.version, at = unpack('>I4B', raw, at)
    m.hot[i] = h
  end
end
local function keep_meta()
  local out = {pack('>I4I4I4BBBH', m.sealed, m.swept, m.keep, m.F, m.state, #m.layouts, #m.hot)}
  for _, l in ipairs(m.layouts) do out[#out + 1] = pack('>BBI4', l.version, l.bits, l.newest) end
  for _, h in ipairs(m.hot) do out[#out + 1] = pack('>I4B', h.day, h.version) end
  call('SET', p .. 'm', table.concat(out))
end
local function hot_key(day, version) return p .. 'h' .. pack('>BI4', version, day) end
local function cold_key(version) return p .. 'c' .. pack('>B', version) end
