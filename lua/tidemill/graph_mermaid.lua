--- A graph as a Mermaid flowchart.
-- @module tidemill.graph_mermaid

local words = require("tidemill.graph_words")

-- What Mermaid or the HTML that it makes would read as its own.
local escapes = { ['"'] = "#quot;", ["#"] = "#35;", ["<"] = "#lt;", [">"] = "#gt;",
  ["&"] = "#amp;", ["`"] = "#96;", ["\\"] = "#92;" }

local function text(label)
  return (label:gsub('["#<>&`\\]', escapes):gsub("\n", "<br/>"))
end

local shapes = {
  start = '(["%s"])', ["end"] = '(["%s"])', entry = '(["%s"])', exit = '(["%s"])',
  ["return"] = '(["%s"])', fail = '(["%s"])', continue = '(["%s"])',
  branch = '{"%s"}', loop = '{"%s"}', check = '{"%s"}',
  llm = '("%s")', agent = '("%s")', tools = '("%s")', embed = '("%s")', decide = '("%s")',
  gate = '{{"%s"}}', wait = '[/"%s"/]', sleep = '[/"%s"/]', emit = '[/"%s"/]',
  call = '[["%s"]]', start_child = '[["%s"]]', subroutine = '[["%s"]]', unknown = '>"%s"]',
  all = '[/"%s"\\]', map = '[/"%s"\\]', race = '[/"%s"\\]', join = '[\\"%s"/]',
  label = '(("%s"))',
}

local arrows = { error = "-.->", call = "-.->" }

local function edge_line(edge)
  local label = edge.label and ('|"%s"|'):format(text(edge.label)) or ""
  return ("  %s %s%s %s"):format(edge.from, arrows[edge.kind] or "-->", label, edge.to)
end

--- The nodes of a group, then the groups in it, indented.
local function write_group(out, doc, id, indent)
  for _, node in ipairs(doc.nodes) do
    if node.group == id then
      local shape = shapes[node.kind] or '["%s"]'
      out[#out + 1] = indent .. node.id .. shape:format(text(words(node)))
    end
  end
  for _, group in ipairs(doc.groups) do
    if group.parent == id then
      out[#out + 1] = ('%ssubgraph %s["%s"]'):format(indent, group.id, text(group.label))
      write_group(out, doc, group.id, indent .. "  ")
      out[#out + 1] = indent .. "end"
    end
  end
end

--- The text of a flowchart.
return function(doc)
  local out = { "flowchart TD" }
  write_group(out, doc, nil, "  ")
  for _, edge in ipairs(doc.edges) do out[#out + 1] = edge_line(edge) end
  return table.concat(out, "\n") .. "\n"
end
