/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "base/util.h"
#include "cli/render.h"
#include "status/hints.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 2026-11-22T01:00:00Z */
static const struct render_opts plain = { .now_ms = 1795309200000 };

/* ' stands for " so that JSON can be read here. */
static char *render_opts(const char *json, const struct render_opts *opts)
{
    char *text = strdup(json), *page;
    cJSON *status;

    assert_non_null(text);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    status = cJSON_Parse(text);
    assert_non_null(status);
    page = render_status(status, opts);
    assert_non_null(page);
    cJSON_Delete(status);
    free(text);
    return page;
}

static char *render(const char *json)
{
    return render_opts(json, &plain);
}

static const char ready[] =
    "{'phase':'Ready','ready':true,'program':{'name':'rdlinkd','version':'0.1.0','pid':812},"
    "'conditions':[{'type':'Ready','status':'True','reason':'AllServing','message':'m',"
    "'lastTransitionTime':'2026-11-22T00:56:48.000Z'}],"
    "'components':[{'name':'docker','state':'SERVING','pid':815,'restarts':0,"
    "'since':'2026-11-22T00:59:48.500Z','lastExit':null,'crashLoop':false,'conditions':[]}],"
    "'instances':[{'vm':'dev','state':'control','generation':'v2','since':'2026-11-21T20:00:00."
    "000Z',"
    "'agent':{'version':'0.1.0','serving':true,'proved':true,'conditions':[]},'conditions':[]}],"
    "'endpoints':[{'name':'docker','state':'listening','requested':'unix:/run/docker.sock',"
    "'address':'unix:/run/docker.sock','since':'2026-11-18T00:00:00.000Z'}]}";

static void ready_is_one_line_for_each_part(void **state)
{
    char *page = render(ready);

    (void)state;
    assert_string_equal(page, "rdlinkd 0.1.0: Ready for 3m12s (pid 812)\n"
                              "\n"
                              "PART                 STATE         FOR     DETAIL\n"
                              "docker               SERVING       11s     pid 815\n"
                              "vm/dev               control       5h00m   agent 0.1.0 serving\n"
                              "endpoint/docker      listening     4d01h   unix:/run/docker.sock\n");
    free(page);
}

static void whose_machine_it_is_and_who_is_served_is_told(void **state)
{
    char *page = render("{'phase':'Ready','ready':true,"
                        "'instances':[{'vm':'dev','state':'linked','generation':'A',"
                        "'owner':'PC\\\\anna'}],"
                        "'endpoints':[{'name':'docker','state':'listening','requested':'npipe:d',"
                        "'address':'npipe:d','granted':['PC\\\\anna','docker\\u001b-users']}]}");

    (void)state;
    assert_non_null(strstr(page, "generation A, unproved, of PC\\anna\n"));
    assert_non_null(strstr(page, "npipe:d, for PC\\anna, docker?-users\n"));
    free(page);
}

static void a_forward_is_told_while_it_waits(void **state)
{
    char *page = render("{'phase':'Ready','ready':true,'forwards':["
                        "{'vm':'dev','generation':'A','proto':'tcp','host':'127.0.0.1:80',"
                        "'guest':'192.168.127.2:80','state':'waiting','reason':'PortTaken',"
                        "'message':'taken\\u001b by pid 7'},"
                        "{'vm':'dev','generation':'A','proto':'udp','host':':53','guest':"
                        "'192.168.127.2:53','state':'listening','reason':null,'message':null}]}");

    (void)state;
    assert_non_null(strstr(page, "tcp/127.0.0.1:80     waiting       -       "
                                 "for 192.168.127.2:80: taken? by pid 7\n"));
    assert_null(strstr(page, ":53"));
    free(page);
}

static const char degraded[] =
    "{'phase':'Degraded','ready':false,"
    "'program':{'name':'rdlinkd','version':'0.1.0','pid':812},"
    "'conditions':[{'type':'Ready','status':'False','reason':'ComponentCrashLoop',"
    "'message':'docker keeps ending (12 restarts): signal 9',"
    "'lastTransitionTime':'2026-11-22T00:59:30.000Z'}],"
    "'components':[{'name':'docker','state':'NOT_SERVING','pid':null,'restarts':12,"
    "'since':'2026-11-22T00:59:58.000Z','crashLoop':true,"
    "'lastExit':{'code':0,'signal':9,'reason':'Killed','message':'signal 9'},"
    "'conditions':[{'type':'DockerReachable','status':'False','reason':'SomethingNew',"
    "'message':'the engine at the other end of a rather long way did not answer within two "
    "seconds'}]}],"
    "'instances':[{'vm':'6b6f5c1e-facb-11e6-bd58-64006a7986d3','state':'probing',"
    "'generation':'none','since':'2026-11-22T00:59:00.000Z','lastError':'connection refused',"
    "'agent':null,'conditions':[]}],"
    "'endpoints':[{'name':'docker','state':'fallback','requested':'npipe:docker_engine',"
    "'address':'npipe:rancher_docker','since':null}]}";

static void trouble_says_why_and_what_next(void **state)
{
    char *page = render(degraded);

    (void)state;
    assert_string_equal(
        page, "rdlinkd 0.1.0: Degraded for 30s (pid 812)\n"
              "  why   ComponentCrashLoop: docker keeps ending (12 restarts): signal 9\n"
              "  next  read the service's log: the component says there why it ends\n"
              "\n"
              "PART                 STATE         FOR     DETAIL\n"
              "docker               NOT_SERVING   2s      no process, 12 restarts, last:\n"
              "    Killed, crash loop\n"
              "  DockerReachable=False SomethingNew: the engine at the other end of a rather\n"
              "    long way did not answer within two seconds\n"
              "  next  see docs/troubleshooting.md#somethingnew\n"
              "vm/6b6f5c1e-facb-... probing       1m00s   connection refused\n"
              "endpoint/docker      fallback      -       npipe:rancher_docker instead of\n"
              "    npipe:docker_engine\n");
    free(page);
}

static void a_hint_is_given_once(void **state)
{
    char *page =
        render("{'ready':true,'components':[{'name':'a','conditions':[{'type':'T','status':'False',"
               "'reason':'Same','message':'m'}]},{'name':'b','conditions':[{'type':'T',"
               "'status':'False','reason':'Same','message':'n'}]}]}");
    const char *first = strstr(page, "#same");

    (void)state;
    assert_non_null(first);
    assert_null(strstr(first + 1, "#same"));
    assert_non_null(strstr(page, "T=False Same: n\n"));
    free(page);
}

static void what_is_true_or_unknown_is_no_trouble(void **state)
{
    char *page = render("{'components':[{'name':'a','conditions':[{'type':'T','status':'True',"
                        "'reason':'R'},{'type':'U','status':'Unknown','reason':'R'}]}]}");

    (void)state;
    assert_null(strstr(page, "T=True"));
    assert_null(strstr(page, "U=Unknown"));
    assert_null(strstr(page, "next"));
    free(page);
}

static void a_status_of_another_version_is_shown_as_far_as_it_goes(void **state)
{
    static const char *const rows[] = {
        "{}",
        "[]",
        "{'ready':'yes','conditions':{},'components':'none','instances':[1,null,'x',[]]}",
        "{'components':[{'name':7,'state':{},'restarts':'many','since':'yesterday','pid':-1e99,"
        "'lastExit':'once','conditions':[5]}],'endpoints':[{}],'new':{'field':[1]}}",
        "{'conditions':[{'type':'Ready','lastTransitionTime':'2026-99-99T00:00:00.000Z'}]}",
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        char *page = render(rows[i]);

        assert_non_null(strstr(page, "PART "));
        free(page);
    }
}

static void assert_width(const char *page)
{
    size_t width = 0;

    for (; *page; page++) {
        if (*page == '\n') {
            width = 0;
            continue;
        }
        if (((unsigned char)*page & 0xc0) != 0x80)
            width++;
        if (width > 80)
            fail_msg("a line is wider than 80 columns");
    }
}

static void no_line_is_wider_than_80_columns(void **state)
{
    static const char *const words[] = { "x", "\xc3\xa4", "ab cde ", "  " };
    char text[301], json[4096], *page;

    (void)state;
    for (unsigned w = 0; w < ARRAY_SIZE(words); w++) {
        text[0] = '\0';
        while (strlen(text) + strlen(words[w]) < sizeof text)
            strcat(text, words[w]);
        snprintf(json, sizeof json,
                 "{'phase':'%s','program':{'name':'%s','version':'%s'},'conditions':[{'type':"
                 "'Ready','reason':'%s','message':'%s'}],'components':[{'name':'%s','state':'%s',"
                 "'lastExit':{'reason':'%s'}}],'instances':[{'vm':'%s','lastError':'%s'}],"
                 "'endpoints':[{'name':'%s','requested':'%s'}]}",
                 "Ready", text, text, text, text, text, text, text, text, text, text, text);
        page = render(json);
        assert_width(page);
        free(page);
    }
    page = render(degraded);
    assert_width(page);
    free(page);
}

static void text_cannot_command_the_terminal(void **state)
{
    char *page = render("{'phase':'\\u001b[31m','program':{'name':'a\\u0007b'},"
                        "'components':[{'name':'\\u001b]0;x\\u0007','state':'\\n\\r\\t'}]}");

    (void)state;
    for (const char *c = page; *c; c++)
        assert_true(*c == '\n' || ((unsigned char)*c >= ' ' && *c != 0x7f));
    free(page);
}

/* Colour changes nothing but colour. */
static void colour_is_only_added(void **state)
{
    struct render_opts colored = plain;
    char *page = render(degraded), *with, *to;

    (void)state;
    colored.color = true;
    with = render_opts(degraded, &colored);
    assert_non_null(strstr(with, "\033[31mDegraded\033[0m"));
    to = with;
    for (const char *c = with; *c; c++) {
        if (*c == '\033')
            c = strchr(c, 'm');
        else
            *to++ = *c;
    }
    *to = '\0';
    assert_string_equal(with, page);
    free(with);
    free(page);
}

static void a_configuration_that_is_not_in_force_is_told(void **state)
{
    static const char json[] =
        "{'phase':'Ready','ready':true,'program':{'name':'rdlinkd','version':'0.1.0','pid':8},"
        "'conditions':[{'type':'ConfigValid','status':'False','reason':'ConfigInvalid',"
        "'message':'/x.conf:3:1: unknown option'}],"
        "'config':{'pending':['status','\\u001b[2Jpage']}}";
    char *page = render(json);

    (void)state;
    assert_non_null(strstr(page, "\n  config  ConfigInvalid: /x.conf:3:1: unknown option\n"));
    assert_non_null(strstr(page, "rdlink config check"));
    assert_non_null(strstr(page, "\n  config  in force after a restart: status "));
    assert_null(strchr(page, '\x1b'));
    free(page);
}

static void hints_are_found_by_reason(void **state)
{
    static const char *const known[] = { "GuestNotAnswering", "EndpointTaken" };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
        assert_non_null(hint_find(known[i]));
    assert_null(hint_find("NoSuchReason"));
    assert_null(hint_find(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ready_is_one_line_for_each_part),
        cmocka_unit_test(whose_machine_it_is_and_who_is_served_is_told),
        cmocka_unit_test(a_forward_is_told_while_it_waits),
        cmocka_unit_test(trouble_says_why_and_what_next),
        cmocka_unit_test(a_hint_is_given_once),
        cmocka_unit_test(what_is_true_or_unknown_is_no_trouble),
        cmocka_unit_test(a_status_of_another_version_is_shown_as_far_as_it_goes),
        cmocka_unit_test(no_line_is_wider_than_80_columns),
        cmocka_unit_test(text_cannot_command_the_terminal),
        cmocka_unit_test(colour_is_only_added),
        cmocka_unit_test(a_configuration_that_is_not_in_force_is_told),
        cmocka_unit_test(hints_are_found_by_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
