#pragma once
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/cpu.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

// Macros that Swift cannot import.
static inline int skerry_averror_eof(void) { return AVERROR_EOF; }
static inline int skerry_averror(int code) { return AVERROR(code); }
static inline int64_t skerry_av_nopts_value(void) { return AV_NOPTS_VALUE; }
