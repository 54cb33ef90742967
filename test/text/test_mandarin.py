import random
import re

import pytest

from speechkit.text import mandarin
from speechkit.text.mandarin import MandarinNormalizer


def normal(text, **options):
    return MandarinNormalizer.Config(**options).build()(text)


def value_of(numeral):
    """Read a Chinese cardinal back: an independent grammar by sections of 亿, 万 and below."""
    numeral = numeral.replace("两", "二")
    for sign, size in (("亿", 10**8), ("万", 10**4), ("千", 1000), ("百", 100), ("十", 10)):
        high, found, rest = numeral.rpartition(sign)
        if found:
            return value_of(high or "一") * size + value_of(rest)
    return int("".join(str("零一二三四五六七八九".index(char)) for char in numeral) or "0")


def test_every_cardinal_reads_back_as_its_number():
    source = random.Random(0)
    for number in [*range(2500), *(source.randrange(10 ** source.randrange(4, 17)) for _ in range(2000))]:
        numeral = mandarin.cardinal(number)
        assert value_of(numeral) == number
        assert number == 0 or not re.search("零零|零[十百千万亿]|零$", numeral), numeral


@pytest.mark.parametrize(
    ("number", "numeral"),
    [(0, "零"), (2, "二"), (10, "十"), (12, "十二"), (20, "二十"), (105, "一百零五"), (110, "一百一十"), (200, "二百"), (1010, "一千零一十")]
    + [(2000, "两千"), (12000, "一万两千"), (100000, "十万"), (205000, "二十万五千"), (10203, "一万零二百零三")]
    + [(100000001, "一亿零一"), (200020000, "两亿零两万"), (10**12, "一万亿")],
)
def test_cardinals(number, numeral):
    assert mandarin.cardinal(number) == numeral


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("我有２００元，1,234人。", "我有二百元一千二百三十四人"),
        ("１００，２００", "一百二百"),
        ("3.14、0.5、.5", "三点一四零点五零点五"),
        ("温度-5度，零下5℃，-3.5°C", "温度负五度零下五摄氏度负三点五摄氏度"),
        ("50%、3.14％、5‰", "百分之五十百分之三点一四千分之五"),
        ("5%-10%、5～10个、5-10", "百分之五到百分之十五到十个五到十"),
        ("1/2和3 1/2和3½", "二分之一和三又二分之一和三又二分之一"),
        ("2005年3月15日", "二零零五年三月十五日"),
        ("2005-03-15，2005/3/5，2005.10.1", "二零零五年三月十五日二零零五年三月五日二零零五年十月一日"),
        ("1999-2005年，1990年代，90年代，10年", "一九九九到二零零五年一九九零年代九十年代十年"),
        ("3:30、3：05、3:00、15:00:30", "三点三十分三点零五分三点十五点三十秒"),
        ("比分3:2", "比分三比二"),
        ("￥3.50、$5、£2、€3.5万", "三点五零元五美元二英镑三点五万欧元"),
        ("2个、12个、第2个、2万、2班", "两个十二个第二个两万二班"),
        ("13812345678，010-12345678，007", "一三八一二三四五六七八零一零一二三四五六七八零零七"),
        ("二〇〇五年", "二零零五年"),
        ("10²和5m³", "十平方和五m立方"),
        ("我们 去 北京！ Hello  World，Don't", "我们去北京hello world don't"),
        ("用iPhone 15 Pro手机", "用iphone十五pro手机"),
        ("C++和AT&T，25°", "c加加和at t二十五度"),
        ("他说：“好的……”（笑）《书》", "他说好的笑书"),
        ("カタカナ と ひらがな", "カタカナとひらがな"),
        ("", ""),
        ("。！", ""),
    ],
)
def test_text_becomes_what_is_said(text, spoken):
    assert normal(text) == spoken


def test_latin_words_can_stand_apart():
    assert normal("用iPhone 15 Pro手机 OK吗", separate_latin=True) == "用 iphone 十五 pro 手机 ok 吗"


@pytest.mark.parametrize(("case", "expected"), [("upper", "用ABC"), ("keep", "用aBc"), ("lower", "用abc")])
def test_case_of_latin_words(case, expected):
    assert normal("用aBc", case=case) == expected


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("我有２００元，1,234人。", "我有二百元,一千二百三十四人."),
        ("他说：“好的……”（笑）《书》", "他说:好的.笑,书"),
        ("Hello, world！你好，world。", "hello, world!你好,world."),
        ("北京——上海 3：05、100，200", "北京 - 上海三点零五分,一百,二百"),
        ("真的吗？真的！是1989年；", "真的吗?真的!是一九八九年;"),
        ("{ni3 hao3}，世界", "{ni3 hao3},世界"),
        ("价格是3.14元。", "价格是三点一四元."),
        ("。！", ""),
    ],
)
def test_pauses_stay_where_a_voice_needs_them(text, spoken):
    assert normal(text, punctuation="keep") == spoken


def test_latin_words_can_stand_apart_behind_marks_too():
    assert normal("用iPhone，OK吗? yes, OK", separate_latin=True, punctuation="keep") == "用 iphone, ok 吗? yes, ok"
