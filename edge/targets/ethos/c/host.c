#include "model_host.h"

#include <stddef.h>

@definitions@
