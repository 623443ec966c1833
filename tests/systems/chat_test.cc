// The forms of conversations, spelled as the templates of published models spell them.
#include "qkv/systems/chat.h"

#include <gtest/gtest.h>

#include "qkv/base/exceptions.h"

namespace qkv {
namespace {

using Role = ChatMessage::Role;

const std::vector<ChatMessage> kTurns = {{Role::system, "Be brief."},
                                         {Role::user, " Hi "},
                                         {Role::assistant, "Hello."},
                                         {Role::user, "And?"}};
const std::vector<ChatMessage> kOne = {{Role::user, "Hi"}};

TEST(Chat, FormsAreThoseOfTheTemplates) {
  EXPECT_EQ(chat_prompt(ChatForm::chatml, kTurns),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n"
            "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nAnd?<|im_end|>\n"
            "<|im_start|>assistant\n");
  EXPECT_EQ(chat_prompt(ChatForm::chatml, kOne),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(chat_prompt(ChatForm::smollm2, kOne),
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
            "Face<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(chat_prompt(ChatForm::smollm2, kTurns), chat_prompt(ChatForm::chatml, kTurns));
  EXPECT_EQ(chat_prompt(ChatForm::zephyr, kTurns),
            "<|system|>\nBe brief.</s>\n<|user|>\n Hi </s>\n<|assistant|>\nHello.</s>\n"
            "<|user|>\nAnd?</s>\n<|assistant|>\n");
  EXPECT_EQ(chat_prompt(ChatForm::llama2, kTurns),
            "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n Hi [/INST] Hello. </s>"
            "<s>[INST] And? [/INST]");
  EXPECT_EQ(chat_prompt(ChatForm::llama3, kTurns),
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nAnd?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
}

TEST(Chat, RefusesWhatIsNoConversation) {
  const auto wrong = [](ChatForm form, const std::vector<ChatMessage>& conversation) {
    EXPECT_THROW((void)chat_prompt(form, conversation), UsageError);
  };
  wrong(ChatForm::none, kOne);
  wrong(ChatForm::chatml, {});
  wrong(ChatForm::chatml, {{Role::user, "Hi"}, {Role::assistant, "Hello."}});
  wrong(ChatForm::chatml, {{Role::user, "Hi"}, {Role::system, "Be brief."}, {Role::user, "?"}});
  wrong(ChatForm::llama2, {{Role::user, "Hi"}, {Role::user, "?"}});
  for (const ChatForm form : {ChatForm::chatml, ChatForm::smollm2, ChatForm::llama2,
                              ChatForm::llama3, ChatForm::zephyr}) {
    EXPECT_FALSE(chat_end(form).empty());
  }
}

}  // namespace
}  // namespace qkv
