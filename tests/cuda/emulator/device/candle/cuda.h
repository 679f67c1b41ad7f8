// candle asks for the version; an old one leaves out its casts of 16-bit types.
#pragma once
#define CUDA_VERSION 10000
