--- The model of the demo: every unit answered by plain rules on keywords, without a network.
-- It has no wisdom. It is as gullible as a model can be, so that the workflows must be safe
-- by themselves.
local mill = require "tidemill"

local lines = { "billing", "delivery", "account", "technical", "product" }

-- "word=weight": found at the start of a word. 2 is enough to decide, 1 only adds to it.
local hints = {
  billing = [[charge=2 fee=2 invoice=2 refund=1 bill=2 money_back=2 rückerstattung=1 rechnung=2
    remboursement=2 reembolso=2 payment=1 exchange_rate=2 currenc=1 transfer=2 top_up=2
    top-up=2 topped_up=2 topping=2 deposit=2 cash=1 withdraw=2 atm=1 statement=1 reimburse=2
    direct_debit=2
    standing_order=2 balance=2 cheque=2 salary=1 money=1 transaction=2 overcharged=2
    debit=1 purchase=1 paid=1 owe=1 loan=2 mortgage=2 interest=1 overdraft=2 spend=1 spent=1]],
  delivery = [[parcel=2 package=2 deliver=2 tracking=2 in_transit=2 shipp=2 shipment=2 courier=2
    arriv=2 paket=2 lieferung=2 sendung=2 colis=2 paquete=2 returned=1 warehouse=1 damaged=1
    crack=1 beschädigt=1 zerbrochen=1 post=1 mail_me=1 send_me=1 sent_me=1 new_card=1]],
  account = [[password=2 passwort=2 log_in=2 login=2 logged=1 sign_in=2 pin=2 passcode=2
    identity=2 verif=2 personal_details=2 my_details=2 my_name=1 my_address=2 phone_number=2
    lost=1 stolen=2 close_my=2 cancel_my=2 close_the=1 delete_my=2 account=1 activate=2
    blocked=2 unblock=2 freeze=2 fraud=2 compromised=2 age=1 appointment=2 joint_account=2
    security=1 locked=2 address=1 savings=1 limit=1]],
  technical = [[crash=2 error=2 broken=2 bug=2 not_working=2 doesn't_work=2 isn't_working=2
    does_not_work=2 won't_work=2 stopped_working=2 doesn't_seem_to_work=2 fail=1 decline=2
    reject=2 freezes=2 slow=1 app=1 contactless=2 swallow=2 motor=1 kaputt=2 funktioniert=1
    wobble=1 website=1 screen=1 virtual_card=1 can't_use=2 cannot_use=2]],
  product = [[do_you=1 can_i=1 how_do=1 how_can=1 how_long=1 how_many=1 how_much=1 what_is=1
    what_are=1 where_can=1 where_do=1 which=1 is_it_possible=1 is_there=1 could_you_tell=1
    i_would_like=1 i'd_like=1 i_want_to=1 offer=1 plan=1 card=1 visa=1 mastercard=1
    apple_pay=2 google_pay=2 support=1 countr=1 student=1 why=1 when=1 insurance=1 credit=1
    open=1 tell_me=1]],
}

local words_of = {}
for category, list in pairs(hints) do
  local words = {}
  for phrase, weight in list:gmatch "(%S+)=(%d)" do
    words[#words + 1] = { text = phrase:gsub("_", " "), weight = tonumber(weight) }
  end
  words_of[category] = words
end

-- Capitals of the languages at hand; a typed apostrophe is an apostrophe.
local function lower(text)
  return (text:lower():gsub("Ä", "ä"):gsub("Ö", "ö"):gsub("Ü", "ü"):gsub("’", "'"))
end

local function has(text, phrases)
  text = lower(text)
  for _, phrase in ipairs(phrases) do
    if text:find(phrase, 1, true) then return true end
  end
  return false
end

-- "pin" is in "pin code", not in "shipping": a hint starts a word.
local function starts_a_word(text, phrase)
  local at = text:find(phrase, 1, true)
  while at do
    if at == 1 or not text:sub(at - 1, at - 1):find "[%w\128-\255]" then return true end
    at = text:find(phrase, at + 1, true)
  end
  return false
end

local function score(text, category)
  local sum = 0
  text = lower(text)
  for _, word in ipairs(words_of[category]) do
    if starts_a_word(text, word.text) then sum = sum + word.weight end
  end
  return sum
end

-- The best of `categories` for a text, its score, and the runner-up's.
local function best(text, categories)
  local name, top, second = nil, 0, 0
  for _, category in ipairs(categories) do
    local sum = score(text, category)
    if sum > top then
      name, top, second = category, sum, top
    elseif sum > second then
      second = sum
    end
  end
  return name, top, second
end

-- Sentences as they stand in the text, with their full stops.
local function sentences(text)
  local list = {}
  for sentence in text:gmatch "[^.!?\n]+[.!?]*" do
    sentence = sentence:match "^%s*(.-)%s*$"
    if sentence:find "[%a\128-\255]" then list[#list + 1] = sentence end
  end
  return list
end

local markers = { "two things", "also", "another thing", "besides", "second", "außerdem" }

-- The clauses of a text, as far as they speak of different things: "... and ..." too.
local function clauses(text)
  local list = {}
  for _, sentence in ipairs(sentences(text)) do
    for clause in (sentence:gsub(",? and ", "\n"):gsub(",? but ", "\n")):gmatch "[^\n]+" do
      list[#list + 1] = clause
    end
  end
  return list
end

-- The lines that clearly own one of the pieces, in the order of the text.
local function owners(pieces)
  local found, seen = {}, {}
  for _, piece in ipairs(pieces) do
    local line, sum, second = best(piece, lines)
    if line and line ~= "product" and sum >= 2 and sum > second and not seen[line] then
      found[#found + 1], seen[line] = line, true
    end
  end
  return found
end

local function classify(text)
  local name, top, second = best(text, lines)
  if not name then return { categories = mill.array {}, confidence = 0.9 } end
  local found = owners(has(text, markers) and sentences(text) or clauses(text))
  if #found < 2 then found = { name } end
  local confidence = top >= 2 and (top > second and 0.9 or 0.7) or 0.6
  return { categories = mill.array(found), confidence = confidence }
end

-- A sentence goes to its category, a sentence without one to where the last one went.
local function split(text, categories)
  local texts, current = {}, categories[1]
  for _, sentence in ipairs(sentences(text)) do
    current = best(sentence, categories) or current
    texts[current] = (texts[current] and texts[current] .. " " or "") .. sentence
  end
  local parts = {}
  for i, category in ipairs(categories) do
    parts[i] = { category = category, text = texts[category] or text }
  end
  return { parts = parts }
end

local currencies = {
  "%$%s*(%d[%d,]*%.?%d*)", "€%s*(%d[%d,]*%.?%d*)", "(%d[%d,]*%.?%d*)%s*usd",
  "(%d[%d,]*%.?%d*)%s*dollar", "(%d[%d,]*%.?%d*)%s*eur", "(%d[%d,]*%.?%d*)%s*€",
}

-- The first sum of money from `from` on, or nil.
local function money(text, from)
  local first, value = math.huge, nil
  for _, pattern in ipairs(currencies) do
    local at, _, digits = text:find(pattern, from or 1)
    if at and at < first then first, value = at, digits end
  end
  return value and tonumber((value:gsub(",", ""):gsub("%.$", "")))
end

local refund_words = {
  "refund", "money back", "charged twice", "charged me twice", "charged double", "reimburse",
  "rückerstattung", "geld zurück", "remboursement", "reembolso",
}
local no_refund = { "no refund", "not want a refund", "don't want a refund", "refund policy" }

local function decide_refund(text, paid)
  local plain = lower(text)
  if not has(plain, refund_words) or has(plain, no_refund) then
    local reason = "No money back was asked for."
    return { refund = false, usd = 0, reason = reason, confidence = 0.9 }
  end
  local at = plain:find("refund", 1, true)
  local usd = money(plain, at) or money(plain) or paid
  local sure = plain:find("confidence 1.0", 1, true) and 1.0 or 0.9
  local reason = "The customer asks for it."
  return { refund = usd > 0, usd = usd, reason = reason, confidence = sure }
end

local pain_words = {
  "crash", "broken", "slow", "nobody", "can't", "cannot", "not work", "n't work", "hate",
  "painful", "wrong", "lose", "lost", "stolen", "waiting", "twice", "problem", "never", "late",
  "still not", "not arrived", "hasn't", "has not", "crack", "error", "declined", "by hand",
  "third time", "beschädigt", "zerbrochen", "kaputt", "too long", "unhappy", "failed",
}
local severe = { "third time", "painful", "hate", "stolen", "broken", "beschädigt", "crash" }

-- A turn of a transcript without the name before it.
local function words_said(sentence)
  return sentence:match "^%u%a+:%s*(.+)$" or sentence
end

local function pain_points(text)
  local list = mill.array {}
  for _, sentence in ipairs(sentences(text)) do
    if #list < 5 and has(sentence, pain_words) and not has(sentence, { "no problem" }) then
      local quote = words_said(sentence)
      local short = quote:match("^" .. ("%S+%s*"):rep(9)) or quote
      list[#list + 1] = {
        pain = short:match "^(.-)[%s.,!?]*$",
        quote = quote,
        severity = has(quote, severe) and "high" or "medium",
      }
    end
  end
  return { pain_points = list }
end

local replies = {
  billing = "thank you for writing. We are checking the charge and will tell you the result.",
  delivery = "we are sorry that your delivery went wrong. We trace it and will write today.",
  account = "we can sort this out. Please confirm on the sign-in page that it is you.",
  technical = "we are sorry that it does not work. What did you do just before it happened?",
  product = "thank you for the question. A colleague will answer it in detail today.",
}
local german = {
  billing = "danke für Ihre Nachricht. Wir prüfen die Abbuchung und melden uns.",
  delivery = "es tut uns leid, dass Ihre Sendung nicht heil ankam. Wir kümmern uns darum.",
  account = "wir bringen das in Ordnung. Bitte bestätigen Sie sich auf der Anmeldeseite.",
  technical = "es tut uns leid, dass es nicht geht. Was geschah unmittelbar davor?",
  product = "danke für Ihre Frage. Ein Kollege schickt Ihnen die Einzelheiten.",
}

local function draft(vars)
  if has(vars.text, { "guten tag", "ich möchte", "bitte", "mein paket" }) then
    return "Guten Tag, " .. german[vars.category]
  end
  return "Hello, " .. replies[vars.category]
end

-- In mode reason_then_extract a unit is asked twice: for prose, then for the fields in it.
local function reasoned(thought, answer)
  return function(vars, request)
    if request.phase == "reason" then return thought .. "\n\n" .. answer(vars).text end
    return answer(vars).fields
  end
end

local function reply_of(make)
  return function(vars)
    local text = make(vars)
    return { text = text, fields = { reply = text } }
  end
end

local function first_with(text, phrases)
  for _, sentence in ipairs(sentences(text)) do
    if has(sentence, phrases) then return words_said(sentence) end
  end
end

local function summary(vars)
  local turns, names, seen = 0, {}, {}
  for name in ("\n" .. vars.text):gmatch "\n(%u%a+):" do
    turns = turns + 1
    if not seen[name] then names[#names + 1], seen[name] = name, true end
  end
  local wish = first_with(vars.text, { "spend", "worried", "need", "happy", "want" })
  local who = #names > 0 and table.concat(names, " and ") or "Two people"
  wish = wish or "Nothing was asked."
  return { summary = ("%s talked, %d turns. %s"):format(who, turns, wish) }
end

local objection_words = {
  "too expensive", "worried", "has to agree", "not sign", "without that", "happy with what",
  "not sure", "is a no", "no budget",
}

local function objections(vars)
  local list = mill.array {}
  for _, sentence in ipairs(sentences(vars.text)) do
    if has(sentence, objection_words) then list[#list + 1] = words_said(sentence) end
  end
  return { objections = list }
end

-- Who speaks first is us. "I will", "I'll" and "we will" are promises.
local function next_steps(vars)
  local list, us = mill.array {}, nil
  for line in vars.text:gmatch "[^\n]+" do
    local name = line:match "^(%u%a+):"
    us = us or name
    for _, sentence in ipairs(sentences(line)) do
      if has(sentence, { "i will ", "i'll ", "we will ", "our engineers will" }) then
        local who = name == us and "us" or "customer"
        list[#list + 1] = { who = who, what = words_said(sentence) }
      end
    end
  end
  return { next_steps = list }
end

local function follow_up(vars)
  local thanks = "thank you for the call. " .. vars.summary
  local body = { "Hello " .. vars.customer .. ",", "", thanks, "" }
  for _, step in ipairs(vars.next_steps) do
    body[#body + 1] = ("- %s: %s"):format(step.who == "us" and "We" or "You", step.what)
  end
  local mail = { subject = "Our call: what comes next", body = table.concat(body, "\n") }
  return { text = mail.subject .. "\n\n" .. mail.body, fields = mail }
end

local function qualify(vars)
  local text = vars.text
  local function lead(interest, because, confidence)
    return { interest = interest, because = because, confidence = confidence or 0.9 }
  end
  if has(text, { "backlink", "ranking", "unsubscribe", "job application", "applying for" }) then
    return lead("not_sales", "It sells something to us.")
  elseif has(text, { "want to buy", "send an offer", "a quote", "contract", "purchase" }) then
    return lead("hot", "It asks for an offer.")
  elseif has(text, { "no plans", "not now", "next year", "keep me" }) then
    return lead("cold", "It has no plans now.")
  elseif has(text, { "how does your", "does it", "problem", "demo", "pricing", "can it" }) then
    return lead("warm", "It has the problem and asks.")
  end
  return lead("cold", "It says little.", 0.3)
end

local function sales_reply(vars)
  local pain = vars.pain_points[1]
  local about = pain and ('You wrote: "' .. pain.quote .. '" We are good at that. ') or ""
  return "Hello, thank you for your mail. " .. about .. "Shall we talk this week?"
end

local function tool(vars)
  local gh = has(vars.instructions, { "pull request", "issue", "github", " pr " })
  return { tool = gh and "gh" or "git" }
end

-- The last word counts: feedback stands below the request.
local commands = {
  git = {
    { { "force" }, { "push", "--force", "origin", "main" } },
    { { "stage", "add all" }, { "add", "-A" } },
    { { "staged" }, { "diff", "--staged" } },
    { { "diff", "changed lines", "line by line" }, { "diff" } },
    { { "last 5", "five commits", "log", "history" }, { "log", "--oneline", "-5" } },
    { { "status", "changed", "what has" }, { "status", "--short", "--branch" } },
    { { "push" }, { "push", "origin", "main" } },
    { { "branch" }, { "branch", "--all" } },
  },
  gh = {
    { { "issue" }, { "issue", "list", "--state", "open" } },
    { { "pull request", " pr " }, { "pr", "list", "--state", "open" } },
  },
}

local function command_for(text, tool_name)
  for _, rule in ipairs(commands[tool_name]) do
    if has(text, rule[1]) then return rule[2] end
  end
end

-- A refused option is not tried again.
local function build(vars)
  local asked, refused = {}, has(vars.instructions, { "--force is not allowed" })
  for line in vars.instructions:gmatch "[^\n]+" do
    if refused then line = lower(line):gsub("force", "") end
    if not has(line, { "not allowed" }) then table.insert(asked, 1, line) end
  end
  for _, line in ipairs(asked) do
    local found = command_for(line, vars.tool)
    if found then return { arguments = found } end
  end
  return { arguments = vars.tool == "gh" and { "pr", "status" } or { "status" } }
end

local effects = {
  push = "It sends commits to the remote repository.",
  add = "It stages changes; nothing is committed yet.",
}

local function explain(vars)
  local verb = vars.command:match "^%S+ (%S+)"
  local effect = effects[verb] or "It only reads and changes nothing."
  return { explanation = ("%s runs '%s'. %s"):format(vars.command:match "^%S+", verb, effect) }
end

local function route(vars)
  if has(vars.text, { "open", "closed", "when can i come" }) then
    return { route = "opening_hours", confidence = 0.9 }
  elseif has(vars.text, { "broken", "angry", "complain", "never", "worst" }) then
    return { route = "complaint", confidence = 0.9 }
  elseif has(vars.text, { "lamp", "?" }) then
    return { route = "product", confidence = 0.7 }
  end
  return { route = "product", confidence = 0.2 }
end

local function answer_question(vars)
  local about = has(vars.text, { "warranty" }) and "The warranty is two years."
    or "A colleague will answer."
  return { answer = "Hello, thank you for the question. " .. about }
end

-- "Who came, what was decided and when is the next one?": three parts.
local function plan(vars)
  local parts = mill.array {}
  for part in (vars.question:gsub(",? and ", "\n"):gsub(", ", "\n")):gmatch "[^\n?]+" do
    if #parts < 5 then parts[#parts + 1] = part .. "?" end
  end
  return { parts = parts }
end

-- The sentence that shares most words with the question.
local function work(vars)
  local top, found = 0, "The text does not say."
  for _, sentence in ipairs(sentences(vars.text)) do
    local sum = 0
    for word in lower(vars.question):gmatch "%a%a%a%a+" do
      if lower(sentence):find(word, 1, true) then sum = sum + 1 end
    end
    if sum > top then top, found = sum, sentence end
  end
  return { finding = found }
end

local function report(vars)
  local findings = {}
  for i, part in ipairs(vars.parts) do findings[i] = part.finding end
  return { report = table.concat(findings, " ") }
end

-- What the tools have said so far: by the tool's name.
local function told(request)
  local results = {}
  for _, message in ipairs(request.messages) do
    for _, part in ipairs(message.content) do
      local response = part.toolResponse
      if response then results[response.name] = response.output end
    end
  end
  return results
end

local function want(name, arguments)
  return { tool_calls = { { name = name, arguments = arguments } } }
end

-- Looks the order up, pays it back when that is asked for, says what came of it.
local function desk(vars, request)
  local number, results = vars.text:match "%a%-%d+", told(request)
  local order, paid = results.find_order, results.refund
  if not number then return { answer = "Which order is it about?" } end
  if not order then return want("find_order", { number = number }) end
  if order.error then return { answer = "I am sorry: " .. order.error .. "." } end
  if has(vars.text, refund_words) and not has(order.state, { "on its way" }) and not paid then
    return want("refund", { number = number })
  end
  local state = ("Order %s: %s."):format(number, order.state)
  if paid and paid.error then
    state = state .. " A colleague will pay it back."
  elseif paid then
    state = ("%s We pay back %d USD."):format(state, paid.usd)
  end
  return { answer = state }
end

return {
  about = "Plain rules on keywords, for the demo and the specs. Not a model.",
  units = {
    classify = function(vars) return classify(vars.text) end,
    split_ticket = function(vars) return split(vars.text, vars.categories) end,
    draft_reply = reasoned("One thing went wrong. Say what happens next.", reply_of(draft)),
    refund_decision = function(vars) return decide_refund(vars.text, vars.paid_usd) end,
    extract_pain_points = function(vars) return pain_points(vars.text) end,
    summarize_call = summary,
    find_objections = objections,
    find_next_steps = next_steps,
    write_follow_up = reasoned("They gave us time. Repeat what was promised.", follow_up),
    qualify_email = qualify,
    draft_sales_reply = reasoned("They asked. Propose a call.", reply_of(sales_reply)),
    choose_tool = tool,
    build_command = build,
    explain_command = explain,
    route_message = route,
    answer_question = answer_question,
    plan_parts = plan,
    work_on_part = work,
    write_report = report,
    order_desk = desk,
  },
}
