#include "qkv/systems/chat.h"

#include "qkv/base/exceptions.h"
#include "qkv/base/utf8.h"

namespace qkv {
namespace {

using Role = ChatMessage::Role;

constexpr std::string_view kSmolLm2 =
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face";

std::string_view word(Role role) {
  return role == Role::system ? "system" : role == Role::user ? "user" : "assistant";
}

/// What stands around a message but for llama2, and before the answer.
struct Marks {
  std::string_view begin, role_end, end;
  bool trims = false;  // the white space at a message's ends
};
Marks marks_of(ChatForm form) {
  if (form == ChatForm::llama3) {
    return {"<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>", true};
  }
  if (form == ChatForm::zephyr) return {"<|", "|>\n", "</s>\n"};
  return {"<|im_start|>", "\n", "<|im_end|>\n"};
}

std::string marked(ChatForm form, std::span<const ChatMessage> conversation) {
  const Marks marks = marks_of(form);
  std::string prompt = form == ChatForm::llama3 ? "<|begin_of_text|>" : "";
  const auto add = [&](Role role, std::string_view text) {
    for (const std::string_view part : {marks.begin, word(role), marks.role_end,
                                        marks.trims ? trim_spaces(text) : text, marks.end}) {
      prompt += part;
    }
  };
  if (form == ChatForm::smollm2 && conversation.front().role != Role::system) {
    add(Role::system, kSmolLm2);
  }
  for (const ChatMessage& m : conversation) add(m.role, m.text);
  for (const std::string_view part : {marks.begin, word(Role::assistant), marks.role_end}) {
    prompt += part;
  }
  return prompt;
}

/// The system text is a part of the user's first.
std::string llama2(std::span<const ChatMessage> conversation) {
  std::string prompt, system;
  Role expected = Role::user;
  for (const ChatMessage& m : conversation) {
    if (m.role == Role::system) {
      system = "<<SYS>>\n" + m.text + "\n<</SYS>>\n\n";
      continue;
    }
    if (m.role != expected) throw UsageError("chat: in llama2 users and assistants take turns");
    const std::string text = system + m.text;
    system.clear();
    const bool asks = m.role == Role::user;
    prompt += asks ? "<s>[INST] " : " ";
    prompt += trim_spaces(text);
    prompt += asks ? " [/INST]" : " </s>";
    expected = asks ? Role::assistant : Role::user;
  }
  return prompt;
}

}  // namespace

std::string chat_prompt(ChatForm form, std::span<const ChatMessage> conversation) {
  if (form == ChatForm::none) throw UsageError("chat: without a form there is no conversation");
  if (conversation.empty() || conversation.back().role != Role::user) {
    throw UsageError("chat: the last message must be the user's");
  }
  for (const ChatMessage& m : conversation.subspan(1)) {
    if (m.role == Role::system) throw UsageError("chat: a system text is the first message");
  }
  return form == ChatForm::llama2 ? llama2(conversation) : marked(form, conversation);
}

std::string_view chat_end(ChatForm form) {
  switch (form) {
    case ChatForm::chatml:
    case ChatForm::smollm2:
      return "<|im_end|>";
    case ChatForm::llama3:
      return "<|eot_id|>";
    case ChatForm::llama2:
    case ChatForm::zephyr:
      return "</s>";
    case ChatForm::none:
      break;
  }
  return "";
}

}  // namespace qkv
