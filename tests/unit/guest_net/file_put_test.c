/* SPDX-License-Identifier: Apache-2.0
 * Replacing files, on file systems and mounts of our own below /run.
 */
#define _GNU_SOURCE
#include "guestagent/linux/file_put.h"

#include "support/cmocka_all.h"
#include "unit/guest_net/sandbox.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "/run/etc"
#define FILE_A FOLDER "/resolv.conf"

static int with_folder(void **state)
{
    assert_int_equal(mkdir(FOLDER, 0755), 0);
    return mount("none", FOLDER, "tmpfs", 0, NULL);
}

static int without_folder(void **state)
{
    umount2(FILE_A, MNT_DETACH);
    assert_int_equal(umount2(FOLDER, MNT_DETACH), 0);
    return rmdir(FOLDER);
}

static enum status put(const char *text)
{
    return file_put(FILE_A, text, strlen(text), NULL);
}

static void assert_holds(const char *path, const char *text)
{
    char *now = sandbox_read(path);

    assert_string_equal(now, text);
    free(now);
}

static struct stat stat_of(const char *path)
{
    struct stat s;

    assert_int_equal(lstat(path, &s), 0);
    return s;
}

static unsigned entries(void)
{
    DIR *folder = opendir(FOLDER);
    unsigned count = 0;

    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count - 2; /* . and .. */
}

static void a_new_file_can_be_read_by_everybody(void **state)
{
    mode_t old = umask(0177);

    assert_int_equal(put("one\n"), ST_OK);
    umask(old);
    assert_holds(FILE_A, "one\n");
    assert_int_equal(stat_of(FILE_A).st_mode & 07777, 0644);
}

static void a_file_is_replaced_and_keeps_its_mode(void **state)
{
    struct stat before;

    sandbox_write(FILE_A, "old\n");
    assert_int_equal(chmod(FILE_A, 0640), 0);
    before = stat_of(FILE_A);
    assert_int_equal(put("new\n"), ST_OK);
    assert_holds(FILE_A, "new\n");
    assert_int_not_equal(stat_of(FILE_A).st_ino, before.st_ino);
    assert_int_equal(stat_of(FILE_A).st_mode, before.st_mode);
    assert_int_equal(entries(), 1);
}

static void the_same_content_is_not_written_again(void **state)
{
    struct stat before;

    assert_int_equal(put("same\n"), ST_OK);
    before = stat_of(FILE_A);
    assert_int_equal(put("same\n"), ST_OK);
    assert_int_equal(stat_of(FILE_A).st_ino, before.st_ino);
    assert_int_equal(mount("none", FOLDER, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_int_equal(put("same\n"), ST_OK);
}

static void a_link_is_replaced_and_what_it_leads_to_stays(void **state)
{
    sandbox_write(FOLDER "/theirs", "theirs\n");
    assert_int_equal(symlink("theirs", FILE_A), 0);
    assert_int_equal(put("theirs\n"), ST_OK);
    assert_true(S_ISREG(stat_of(FILE_A).st_mode));
    assert_int_equal(put("ours\n"), ST_OK);
    assert_holds(FILE_A, "ours\n");
    assert_holds(FOLDER "/theirs", "theirs\n");
}

static void a_dangling_link_is_replaced_too(void **state)
{
    assert_int_equal(symlink("nowhere", FILE_A), 0);
    assert_int_equal(put("ours\n"), ST_OK);
    assert_holds(FILE_A, "ours\n");
    assert_int_equal(access(FOLDER "/nowhere", F_OK), -1);
}

static void a_mounted_file_is_written_in_place(void **state)
{
    sandbox_write("/run/mounted", "a longer text than the new one\n");
    sandbox_write(FILE_A, "");
    assert_int_equal(mount("/run/mounted", FILE_A, NULL, MS_BIND, NULL), 0);
    assert_int_equal(put("short\n"), ST_OK);
    assert_holds(FILE_A, "short\n");
    assert_holds("/run/mounted", "short\n");
    assert_int_equal(entries(), 1);
}

static void a_writable_file_in_a_read_only_folder_is_written_in_place(void **state)
{
    sandbox_write("/run/mounted", "old\n");
    sandbox_write(FILE_A, "");
    assert_int_equal(mount("/run/mounted", FILE_A, NULL, MS_BIND, NULL), 0);
    assert_int_equal(mount("none", FOLDER, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_int_equal(put("new\n"), ST_OK);
    assert_holds("/run/mounted", "new\n");
}

static void a_read_only_file_is_said_so_and_stays(void **state)
{
    struct errmsg e = { .text = "" };

    sandbox_write(FILE_A, "old\n");
    assert_int_equal(mount("none", FOLDER, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_int_equal(file_put(FILE_A, "new\n", 4, &e), ST_DENIED);
    assert_non_null(strstr(e.text, FILE_A));
    assert_holds(FILE_A, "old\n");
}

static void a_full_file_system_leaves_the_old_content(void **state)
{
    static char large[256 * 1024];

    memset(large, 'x', sizeof large - 1);
    sandbox_write(FILE_A, "old\n");
    assert_int_equal(mount("none", FOLDER, NULL, MS_REMOUNT, "size=64k"), 0);
    assert_int_equal(put(large), ST_FULL);
    assert_holds(FILE_A, "old\n");
    assert_int_equal(entries(), 1);
}

static void what_a_killed_predecessor_left_is_no_obstacle(void **state)
{
    assert_int_equal(symlink("nowhere", FILE_A ".rdlink-new"), 0);
    assert_int_equal(put("new\n"), ST_OK);
    assert_holds(FILE_A, "new\n");
    assert_int_equal(entries(), 1);
}

static void a_folder_or_device_is_left_alone(void **state)
{
    assert_int_equal(mkdir(FILE_A, 0755), 0);
    assert_int_equal(put("new\n"), ST_INVAL);
    assert_int_equal(rmdir(FILE_A), 0);
    assert_int_equal(mkfifo(FILE_A, 0644), 0);
    assert_int_equal(put("new\n"), ST_INVAL);
}

static void reading_is_bounded(void **state)
{
    char *text = NULL;
    size_t len = 0;

    assert_int_equal(file_text(FILE_A, &text, &len, NULL), ST_NOTFOUND);
    assert_int_equal(put("line\n"), ST_OK);
    assert_int_equal(file_text(FILE_A, &text, &len, NULL), ST_OK);
    assert_int_equal(len, 5);
    assert_string_equal(text, "line\n");
    free(text);
    assert_int_equal(truncate(FILE_A, FILE_TEXT_MAX + 1), 0);
    assert_int_equal(file_text(FILE_A, &text, &len, NULL), ST_FULL);
    assert_int_equal(file_text(FOLDER, &text, &len, NULL), ST_INVAL);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, with_folder, without_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_new_file_can_be_read_by_everybody),
        IN_FOLDER(a_file_is_replaced_and_keeps_its_mode),
        IN_FOLDER(the_same_content_is_not_written_again),
        IN_FOLDER(a_link_is_replaced_and_what_it_leads_to_stays),
        IN_FOLDER(a_dangling_link_is_replaced_too),
        IN_FOLDER(a_mounted_file_is_written_in_place),
        IN_FOLDER(a_writable_file_in_a_read_only_folder_is_written_in_place),
        IN_FOLDER(a_read_only_file_is_said_so_and_stays),
        IN_FOLDER(a_full_file_system_leaves_the_old_content),
        IN_FOLDER(what_a_killed_predecessor_left_is_no_obstacle),
        IN_FOLDER(a_folder_or_device_is_left_alone),
        IN_FOLDER(reading_is_bounded),
    };

    if (!sandbox_enter())
        return SANDBOX_SKIP;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
