// Conversations as prompts: the fixed forms in which published models were taught to answer. What a
// directory says of its own (chat_template) is a program, which nothing here runs.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace qkv {

enum class ChatForm : std::uint8_t {
  none,     ///< a prompt is what the text goes on from
  chatml,   ///< <|im_start|>user … <|im_end|>; MPT-chat and many others
  smollm2,  ///< the same, with a system text of its own where none is given
  llama2,   ///< <s>[INST] … [/INST]
  llama3,   ///< <|start_header_id|>user<|end_header_id|> … <|eot_id|>
  zephyr,   ///< <|user|> … </s>; TinyLlama
};
constexpr std::array<std::string_view, 6> spelling(ChatForm) {
  return {"none", "chatml", "smollm2", "llama2", "llama3", "zephyr"};
}

struct ChatMessage {
  enum class Role : std::uint8_t { system, user, assistant };
  Role role = Role::user;
  std::string text;
};

/// The conversation in the form, up to where the assistant's next answer begins. Throws UsageError
/// where a system text is not the first message, where the last is not the user's, and, for llama2,
/// where users and assistants do not take turns.
std::string chat_prompt(ChatForm form, std::span<const ChatMessage> conversation);

/// The token with which an answer ends; empty for none.
std::string_view chat_end(ChatForm form);

}  // namespace qkv
