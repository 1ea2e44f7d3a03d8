#pragma once
#include <errno.h>
#include <seccomp.h>
#include <sys/prctl.h>
