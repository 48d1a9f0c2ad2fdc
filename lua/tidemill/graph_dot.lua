--- A graph in the language of graphviz.
-- @module tidemill.graph_dot

local words = require("tidemill.graph_words")

local function text(label)
  return '"' .. label:gsub('[\\"]', "\\%0"):gsub("\n", "\\n") .. '"'
end

local shapes = {
  start = "oval", ["end"] = "oval", entry = "oval", exit = "oval", ["return"] = "oval",
  fail = "octagon", continue = "oval", branch = "diamond", loop = "diamond", check = "diamond",
  gate = "hexagon", wait = "parallelogram", sleep = "parallelogram", emit = "parallelogram",
  call = "box3d", start_child = "box3d", subroutine = "component", unknown = "note",
  all = "trapezium", map = "trapezium", race = "trapezium", join = "invtrapezium",
  label = "circle", llm = "box", agent = "box", tools = "box", embed = "box", decide = "box",
}
local rounded = { llm = true, agent = true, tools = true, embed = true, decide = true }

local function edge_line(edge)
  local how = {}
  if edge.label then how[#how + 1] = "label=" .. text(edge.label) end
  if edge.kind == "error" or edge.kind == "call" then how[#how + 1] = "style=dashed" end
  return ("  %s -> %s%s;"):format(edge.from, edge.to,
    #how > 0 and " [" .. table.concat(how, ", ") .. "]" or "")
end

local function write_group(out, doc, id, indent)
  for _, node in ipairs(doc.nodes) do
    if node.group == id then
      local style = rounded[node.kind] and ", style=rounded" or ""
      out[#out + 1] = ("%s%s [label=%s, shape=%s%s];"):format(indent, node.id,
        text(words(node)), shapes[node.kind] or "box", style)
    end
  end
  for _, group in ipairs(doc.groups) do
    if group.parent == id then
      out[#out + 1] = ("%ssubgraph cluster_%s {"):format(indent, group.id)
      out[#out + 1] = ("%s  label=%s;"):format(indent, text(group.label))
      write_group(out, doc, group.id, indent .. "  ")
      out[#out + 1] = indent .. "}"
    end
  end
end

--- The text of a digraph.
return function(doc)
  local out = { ("digraph %s {"):format(text(doc.workflow)) }
  write_group(out, doc, nil, "  ")
  for _, edge in ipairs(doc.edges) do out[#out + 1] = edge_line(edge) end
  out[#out + 1] = "}"
  return table.concat(out, "\n") .. "\n"
end
