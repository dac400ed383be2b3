/* An application that is linked dynamically: it says so to the probe, and becomes it. */
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    (void)argc;
    if (setenv("STARTED_BY", LIBC, 1) == 0)
        execv("/keyward-probe", argv);
    return 1;
}
