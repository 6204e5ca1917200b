export * from "npm:@huggingface/tokenizers@0.2.0";
