#pragma once
// What Swift cannot import from C: macros, deprecated but needed functions, control messages, variadics, thread locals.
#include "crypto.h"
#include "dtls.h"
#include "linux.h"
#include "tls.h"
